// Package looking has the commands that only read, and dray verify, which writes only with --heal. In the
// order of the walk:
//
//	ls.go           dray ls
//	tree.go         dray referrers
//	inspect.go      dray inspect
//	manifest.go     dray digest, dray manifest, and show and list-metadata of az acr manifest
//	referrers.go    list and list-referrers of az acr manifest
//	repository.go   dray repository: the lists of az acr repository
//	metadata.go     show and update of az acr repository, show-metadata and update-metadata of az acr manifest
//	show.go         dray show
//	verify.go       dray verify
//	check.go        dray check
//	name.go         the two forms in which az names an image
//	look.go         what one reading command has: a login, a Dray and a story
package looking

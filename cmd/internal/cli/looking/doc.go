// Package looking has the commands that only read. In the order of the walk:
//
//	ls.go           dray ls
//	inspect.go      dray inspect
//	manifest.go     dray digest, dray manifest, and az's show and list-metadata
//	repository.go   dray repository: az's lists of repositories, tags and manifests
//	verify.go       dray verify
//	check.go        dray check
//	look.go         one look, with its login and its story
package looking

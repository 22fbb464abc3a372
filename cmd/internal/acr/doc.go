// Package acr serves the data plane of Azure's registries, /acr/v1: what `az acr repository`, `az acr manifest` and
// Azure's SDKs for registries ask and change. The shapes are those of api-version 2021-07-01.
//
// Each request is held to the rules of the server. Reading needs the verb pull; deleting needs the verb delete with the
// right delete; locking and unlocking need push with the rights overwrite and delete, because a lock stops both.
//
// The files, in the order of the walk:
//
//	acr.go      New: the handler, who asks, and what for
//	lists.go    catalogs, tags and manifests in pages
//	change.go   deletions and locks
//	handler.go  Config, and what the files above share
//	own.go      the server's own registry
//	shelf.go    what a registry must be able to do, and the shapes of its answers
//	scope.go    what paths name, their scopes, and what of a scope the rules grant
//	answer.go   answers and errors
package acr

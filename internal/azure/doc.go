// Package azure asks Azure to import images into its registries: the operation importImage of the resource manager,
// https://learn.microsoft.com/rest/api/container-registry/registries/import-image. It submits an import, follows its
// operation, and says why one failed. What arrived is for the caller to check.
//
// Files, in the order of the walk:
//
//	azure.go      one import, from its order to its end
//	operation.go  follows an operation
//	find.go       finds the resource ID of a registry
//	request.go    one request to the resource manager, repeated where that helps
//	client.go     the Client
//	reach.go      connections to a resource manager
//	answer.go     what an error of the resource manager means
//	pace.go       the limit of the resource manager for writes
package azure

// Package arm serves the part of the Azure Resource Manager's API that importing images needs. With
// it, `az acr import`, `az acr login --expose-token` and Azure's SDKs can send to dray what they send to Azure, for any
// configured registry. Package acr serves what they ask the registries themselves.
//
// An import is a normal job. The id of its operation is the id of the job, so a client can go on
// polling after a restart of the server. Paths are accepted in upper or lower case and with any
// api-version, because clients differ in both. docs/from-az.md describes the use.
//
// The files, in the order of the walk:
//
//	arm.go          New: the handler, which selects the part for a path
//	registries.go   subscriptions, resource groups and registries
//	resources.go    what belongs to a registry: tokens, scope maps, usage, and what dray lacks
//	import.go       importImage and its long-running operation
//	login.go        the metadata of the cloud, and its token endpoints
//	path.go         the parts of a path
//	answer.go       answers and errors in the form that Azure's clients read
//	handler.go      Config, and what the files above share
package arm

// Package arm speaks the dialect of the Azure Resource Manager, as far as the import of images
// goes: what `az acr import`, `az acr login --expose-token`, `az acr repository list|show-tags`
// and Azure's SDKs say to a cloud, they can say to dray, about any registry.
//
// An import is a job like every other; its operation's id is the job's, so that a client goes on
// polling across a restart. Registries are the configured ones. Paths are taken in any case and
// with any api-version, because clients differ in both. docs/from-az.md is the description for
// people.
//
// In the order of the walk:
//
//	arm.go          the handler, and who answers which path
//	registries.go   subscriptions, groups and registries, as clients look for them
//	import.go       an import, and its operation
//	content.go      repositories and tags of the embedded registry
//	login.go        the cloud's addresses, and its tokens
//	path.go         what a path names
//	answer.go       answers and refusals, as clients read them
//	handler.go      what all of these stand on
package arm

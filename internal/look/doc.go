// Package look shows what a registry holds, and deletes tags and manifests.
//
// Files, in the order in which they use each other:
//
//	inspect.go    an image: its manifests, indexes and configurations
//	tree.go       what is below an index
//	list.go       repositories and tags
//	manifests.go  the manifests of a repository, tagged or not
//	metadata.go   what a registry knows of one name, what may be done with it, what refers to it
//	remove.go     deletes a tag, or a manifest with its tags
//	look.go       one name: its digest, manifest and configuration
//	platform.go   the image in an index that is for a platform
package look

// Package look shows what a registry holds, and takes images away.
//
// Files, in the order in which they use each other:
//
//	inspect.go    an image: its documents and configurations
//	list.go       repositories and tags
//	manifests.go  manifests, tagged or not
//	remove.go     a tag, or a manifest with its tags
//	look.go       one name: its digest, manifest and configuration
package look

// Package layout reads and writes images in an OCI image layout on disk.
//
// It follows image-spec v1.1.1 §Image Layout. It reads names as the common tools write them. For
// example, an entry of index.json with the annotation org.opencontainers.image.ref.name "v1" has
// the tag v1. docker and skopeo may write a full image name into that annotation, and containerd
// writes one into io.containerd.image.name. The tag of a full name counts too, unless another entry
// has exactly that tag.
//
// The package reaches all files through an os.Root. So no link and no name leads out of the
// directory of the layout. It reads only regular files.
//
// Files, in the order of the walk:
//
//	below.go           finds the layouts below a directory
//	open.go            opens or creates a layout
//	write.go           puts blobs and documents
//	change.go          changes index.json, many changes at once
//	partial.go         documents and blobs, and which platforms of an image are there
//	find.go            finds documents by the names of their entries
//	referrers.go       what refers to a document
//	read.go            reads blobs and documents
//	index.go           parses index.json
//	files.go           files in the directory: one writer at a time, whole files only
//	fault.go           converts errors of the file system
//	dir.go             Dir
//	entry.go           index.json, its entries and their names
//	system_unix.go     detects a full disk and syncs directories
//	system_windows.go  the same on Windows
package layout

// Package layout is an OCI image layout on disk as a place to read images from
// and to write them to.
//
// It follows image-spec v1.1.1 §Image Layout. Names are read as the tools write
// them: an entry of index.json has the tag of its annotation
// org.opencontainers.image.ref.name; where that is a full image name, as docker
// and skopeo may write, or where containerd's io.containerd.image.name is one,
// the tag part of it counts too, unless another entry has that very tag.
//
// All files are reached through an os.Root: no link and no name leads out of
// the layout's directory, and nothing but regular files is read.
//
// Files, in the order of the walk:
//
//	below.go           layouts below a directory
//	open.go            a layout is opened, or made
//	write.go           blobs and documents put
//	read.go            and read
//	index.go           index.json
//	files.go           files in the directory: one writer, whole files
//	fault.go           what an error of the file system means
//	dir.go             Dir
//	system_unix.go     a full disk, a directory on the disk
//	system_windows.go  the same on Windows
package layout

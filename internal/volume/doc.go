// Package volume reads and writes the files of a bundle.
//
// A bundle is an OCI image layout (image-spec v1.1.1 §Image Layout) in one or more tar files, its volumes,
// or in a directory. These are the files in each volume, in this order:
//
//	dray/volume-K-OF-N.sha256-HEX.json   the list of the volume: its files, with sizes and digests
//	oci-layout
//	dray/contents.json                   the contents of the whole bundle
//	index.json
//	blobs/…                              all manifests and indexes of the bundle
//	blobs/…                              the blobs of this volume
//
// The name of the list has the digest of the list, and the list has the digests of all other files. So each
// volume can be verified alone. Each byte of a tar file follows from its list: dray writes headers in one
// way only, and compares them when it verifies. So a change is found wherever it is. A volume that is made
// again is the same file.
//
// A directory into which all volumes were extracted is a bundle, too.
//
// Files, in the order of the walk:
//
//	repair.go    writes what is damaged in a directory again
//	verify.go    verifies volumes
//	attached.go  finds out which names travel with others
//	open.go      opens volumes
//	read.go      reads a file of an open volume
//	write.go     writes volumes
//	arrange.go   divides the contents into volumes
//	set.go       Set, and what may be damaged in it
//	contents.go  Contents and List
//	tar.go       the bytes around the files of a tar
package volume

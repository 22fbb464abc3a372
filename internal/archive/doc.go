// Package archive reads and writes tar archives. It knows nothing of images.
//
// Open reads the headers of an archive once. Afterwards each file is read in place, at any offset
// and by many goroutines. An archive that is compressed, or that is a stream, goes once into a
// temporary file.
//
// An archive comes from anywhere. So Open refuses names and links that lead out of it, devices,
// two files of one name, and content that grows beyond all measure when it is decompressed. It
// writes no file of the archive to disk.
//
// Files, in the order of the walk:
//
//	open.go     opens an archive: reads its headers
//	spool.go    decompresses an archive into a temporary file
//	links.go    records links, and refuses names that lead out
//	write.go    writes an archive
//	fault.go    makes errors
//	archive.go  Archive: finds a file
package archive

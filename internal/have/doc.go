// Package have reads and writes lists of what a receiver has: the names, and the digest of each blob.
// The receiver of a bundle makes such a list, and the sender leaves out what is on it.
//
// A list is a file of four parts, compressed with gzip:
//
//   - the line "dray-have/1";
//   - a line of JSON: what was listed and when, its repositories, its names, and the number of blobs;
//   - for each blob 36 bytes: its sha256 digest, and the number of a repository that holds it. They are
//     sorted by digest;
//   - for each referrer without a tag 68 bytes: the number of its repository, its sha256 digest, and that of
//     what it refers to.
//
// The last 32 bytes are the sha256 of everything before them. A list of a million blobs has about 36 MB.
//
// Files, in the order of the walk:
//
//	file.go     reads and writes the file
//	list.go     List
//	records.go  the digests in a List, in their compact form
package have

package volume

import (
	"archive/tar"
	"bytes"
)

const (
	block   = 512
	trailer = 2 * block // a tar ends with two empty blocks
)

// headerOf returns the bytes before a file in a tar. They depend on its path and its size alone.
func headerOf(path string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Size: size, Mode: 0o644})
	return b.Bytes(), err
}

// padding returns how many zero bytes follow a file of this size.
func padding(size int64) int64 { return (block - size%block) % block }

// span returns how many bytes of a tar a file takes.
func span(path string, size int64) (int64, error) {
	head, err := headerOf(path, size)
	return int64(len(head)) + size + padding(size), err
}

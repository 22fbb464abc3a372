package ends

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// checkArrived verifies what an earlier run left in the stage, and removes what is damaged. The layout of a stage is a
// draft: a blob has its name before its bytes are on disk, and the machine may have stopped in between.
func (g *stage) checkArrived(ctx context.Context) error {
	blobs := filepath.Join(g.layoutDir(), v1.ImageBlobsDir)
	err := filepath.WalkDir(blobs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		dgst := oci.Digest(filepath.Base(filepath.Dir(path)) + ":" + d.Name())
		err = verifyFile(ctx, path, dgst)
		if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Refused) {
			return os.Remove(path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: "read directory", Name: g.part, Err: context.Cause(ctx)}
	}
	return failed("read directory", g.part, err)
}

// verifyFile compares a file with its digest. The error is Corrupt if they differ, and Refused if dgst is no digest.
func verifyFile(ctx context.Context, path string, dgst oci.Digest) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	v, err := oci.NewVerifier(oci.Descriptor{Digest: dgst, Size: info.Size()})
	if err != nil {
		return err
	}
	buf := make([]byte, min(info.Size()+1, 256<<10))
	for {
		n, err := f.Read(buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := v.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return v.Verify()
		}
		if err != nil {
			return err
		}
	}
}

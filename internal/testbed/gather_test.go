package testbed

import (
	"bytes"
	"io"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// The storage in memory behaves as files do: an upload that was closed continues at its end, sizes
// include data that is still buffered, a canceled upload is gone, and no upload has more bytes than
// were written.
func TestStorageInMemoryWritesAsADirectoryDoes(t *testing.T) {
	memory, err := gatherers{}.Create(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	disk := filesystem.New(filesystem.DriverParameters{RootDirectory: t.TempDir(), MaxThreads: 25})
	for name, d := range map[string]storagedriver.StorageDriver{"memory": memory, "directory": disk} {
		t.Run(name, func(t *testing.T) { writes(t, d) })
	}
}

func writes(t *testing.T, d storagedriver.StorageDriver) {
	t.Helper()
	whole := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	cut := len(whole)/2 + 7
	w := writer(t, d, "/a/b", false)
	feed(t, w, whole[:cut])
	if w.Size() != int64(cut) {
		t.Errorf("size %d while writing, want %d", w.Size(), cut)
	}
	end(t, w.Close())
	if _, err := w.Write(whole); err == nil {
		t.Error("a closed writer accepted more data")
	}
	if info, err := d.Stat(t.Context(), "/a/b"); err != nil || info.Size() != int64(cut) {
		t.Errorf("closed: %v %v, want %d bytes", info, err, cut)
	}
	w = writer(t, d, "/a/b", true)
	if w.Size() != int64(cut) {
		t.Errorf("the upload continues at %d, want %d", w.Size(), cut)
	}
	feed(t, w, whole[cut:])
	end(t, w.Commit(t.Context()))
	end(t, w.Close())
	body, err := d.Reader(t.Context(), "/a/b", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes of %d, %v", len(got), len(whole), err)
	}
	w = writer(t, d, "/a/c", false)
	feed(t, w, whole)
	end(t, w.Cancel(t.Context()))
	if _, err := d.Stat(t.Context(), "/a/c"); err == nil {
		t.Error("a canceled upload still exists")
	}
}

func writer(t *testing.T, d storagedriver.StorageDriver, path string, again bool) storagedriver.FileWriter {
	t.Helper()
	w, err := d.Writer(t.Context(), path, again)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func feed(t *testing.T, w io.Writer, all []byte) {
	t.Helper()
	for len(all) > 0 {
		n := min(len(all), 32<<10)
		if _, err := w.Write(all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
}

func end(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

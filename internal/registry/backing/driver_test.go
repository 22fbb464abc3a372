package backing_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
)

func driver(t *testing.T) (d *backing.Driver, dir string) {
	t.Helper()
	dir = t.TempDir()
	d, err := backing.Storage{}.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return d, dir
}

// A process that is killed leaves a tag with an incomplete history, never a history without its tag.
func TestATagIsSetBeforeItsHistory(t *testing.T) {
	d, _ := driver(t)
	const tag, content = "/docker/registry/v2/repositories/app/_manifests/tags/index", "sha256:00ff"
	there := func(name string) bool {
		_, err := d.Stat(t.Context(), name)
		return err == nil
	}
	history := tag + "/index/sha256/00ff/link"
	if err := d.PutContent(t.Context(), history, []byte(content)); err != nil || there(history) {
		t.Errorf("the history comes first: %v", err)
	}
	if err := d.PutContent(t.Context(), tag+"/current/link", []byte(content)); err != nil || !there(history) || !there(tag+"/current/link") {
		t.Errorf("%v, history %v", err, there(history))
	}
}

func TestErrorsOfTheDiskNameNoPath(t *testing.T) {
	d, dir := driver(t)
	if err := d.PutContent(t.Context(), "/file", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"put":  d.PutContent(t.Context(), "/file/below", []byte("x")),
		"move": d.Move(t.Context(), "/file", "/file/below"),
		"list": second(d.List(t.Context(), "/file")),
		"read": second(d.GetContent(t.Context(), "/")),
	} {
		if err == nil || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.PutContent(t.Context(), "/file/below", nil); !errors.Is(err, syscall.ENOTDIR) || backing.KindOf(err) != fault.Invalid {
		t.Errorf("the cause is lost: %v", err)
	}
	var missing storagedriver.PathNotFoundError
	if _, err := d.Stat(t.Context(), "/none"); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A directory goes although somebody puts files into it meanwhile, as who notes the owner of an upload does.
func TestADirectoryIsDeletedWhileFilesComeIntoIt(t *testing.T) {
	d, dir := driver(t)
	for i := range 200 {
		name := fmt.Sprint("/upload", i)
		if err := d.PutContent(t.Context(), name+"/data", []byte("x")); err != nil {
			t.Fatal(err)
		}
		begin, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			<-begin
			for n := range 5 {
				_ = os.WriteFile(filepath.Join(dir, "storage", name, strconv.Itoa(n)), nil, 0o600) // until the directory is gone
			}
		}()
		close(begin)
		if err := d.Delete(t.Context(), name); err != nil {
			t.Fatal(i, err)
		}
		<-ended
	}
}

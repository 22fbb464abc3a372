package ends

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// tagsFile lists the images of an archive of docker.
const tagsFile = "manifest.json"

// containerName is the annotation for the whole name of an image.
const containerName = "io.containerd.image.name"

// saved is one image in manifest.json.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// inDocker is an archive of docker that is being opened.
type inDocker struct {
	name  string
	files inArchive
	view  *view
	index v1.Index
	tree  *tree                 // what the archive has as a layout
	sums  map[string]oci.Digest // of layers and configs, by their names in the archive
}

// fault is the error about a file of the archive.
func (d *inDocker) fault(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "read archive",
			Name: d.name,
			Err:  fmt.Errorf("its %s names the file %.150q, which is not in it", tagsFile, name),
			Hint: "save the image again with docker save",
		}
	}
	return failed("read archive", d.name, err)
}

// Command mkimage builds dray's release image into an OCI image layout, without Docker. The image
// is for linux/amd64 and linux/arm64, has dray and drayd as static programs, Mozilla's CA certificates
// and the licenses of all that is in the programs, and does not run as root. Each image has a bill of
// materials as a referrer. Equal sources give equal bytes.
//
// With -bin it uses programs that are already built, for the platform of this machine, and writes no bill.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/packaging/parts"
	"github.com/drayage/dray/ref"
)

const (
	user       = "65532:65532"
	binDir     = "usr/bin/"
	entrypoint = "/" + binDir + "dray"
	certsPath  = "etc/ssl/certs/ca-certificates.crt"
	docDir     = "usr/share/doc/dray/"
	commands   = "github.com/drayage/dray/cmd/"
)

// programs are the programs in the image. dray runs drayd, which must be in the same directory.
var programs = []string{"dray", "drayd"}

var platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

func main() {
	out := flag.String("o", "dist/image", "`DIR`ectory of the layout")
	tag := flag.String("tag", "latest", "`TAG` of the image in the layout")
	revision := flag.String("revision", "", "`REVISION` of the source, for the annotations")
	tags := flag.String("tags", "", "build `TAGS` for Go: s3, azure, gcs for storage other than a directory")
	bin := flag.String("bin", "", "use the programs in this `DIR`, built for this machine, instead of building them")
	epoch := flag.Int64("epoch", 0, "creation time of the image, in `SECONDS` of Unix time")
	flag.Parse()
	if *bin != "" && runtime.GOOS != "linux" {
		fmt.Fprintln(os.Stderr, "mkimage: -bin requires linux: programs of this machine do not run in an image")
		os.Exit(2)
	}
	b := builder{dir: *out, tag: *tag, tags: *tags, revision: *revision, bin: *bin, created: time.Unix(*epoch, 0).UTC()}
	root, err := b.build(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
	fmt.Printf("oci:%s:%s@%s\n", *out, *tag, root.Digest)
}

type builder struct {
	dir, tag, tags, revision string
	bin                      string // directory of programs that are already built; "" builds them
	created                  time.Time
	layout                   *layout.Dir
	judge                    parts.Judge // of licenses, for the bills of materials; none are written without it
}

func (b *builder) build(ctx context.Context) (oci.Document, error) {
	var err error
	if b.layout, err = layout.Open(ref.Repo{Host: ref.Layout, Dir: filepath.Clean(b.dir)}, layout.Write); err != nil {
		return oci.Document{}, err
	}
	defer func() { _ = b.layout.Close() }() // each write was synced
	if b.bin == "" && b.judge.Classifier == nil {
		if b.judge, err = parts.NewJudge(); err != nil {
			return oci.Document{}, err
		}
	}
	base, err := b.base(ctx)
	if err != nil {
		return oci.Document{}, err
	}
	index := v1.Index{MediaType: oci.TypeIndex, Annotations: b.annotations()}
	index.SchemaVersion = 2
	for _, p := range b.platforms() {
		image, err := b.image(ctx, p, base)
		if err != nil {
			return oci.Document{}, fmt.Errorf("%s/%s: %w", p.OS, p.Architecture, err)
		}
		image.Platform = &p
		index.Manifests = append(index.Manifests, image)
	}
	return b.document(ctx, oci.TypeIndex, index, b.tag)
}

// platforms returns the platforms of the image.
func (b *builder) platforms() []v1.Platform {
	if b.bin != "" {
		return []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}}
	}
	return platforms
}

// layer is a stored layer, and the digest of its uncompressed tar, which the configuration names.
type layer struct {
	v1.Descriptor
	diff oci.Digest
}

// base is the layer that both platforms share: certificates, a user, and a directory to write to.
func (b *builder) base(ctx context.Context) (layer, error) {
	var certs bytes.Buffer
	for root := range bundle.Roots() {
		if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return layer{}, err
		}
	}
	return b.layer(ctx, func(w *tar.Writer) error {
		for _, dir := range []string{"data/", "etc/", "etc/ssl/", "etc/ssl/certs/", "tmp/"} {
			if err := b.directory(w, dir); err != nil {
				return err
			}
		}
		if err := b.file(w, "etc/passwd", 0o644, []byte("dray:x:65532:65532:dray:/data:/sbin/nologin\n")); err != nil {
			return err
		}
		return b.file(w, certsPath, 0o644, certs.Bytes())
	})
}

func (b *builder) image(ctx context.Context, p v1.Platform, base layer) (v1.Descriptor, error) {
	bin := b.bin
	if bin == "" {
		dir, err := os.MkdirTemp("", "mkimage")
		if err != nil {
			return v1.Descriptor{}, err
		}
		defer os.RemoveAll(dir)
		if err := compile(ctx, p, b.tags, dir); err != nil {
			return v1.Descriptor{}, err
		}
		bin = dir
	}
	target := parts.Target{OS: p.OS, Arch: p.Architecture, Tags: b.tags}
	modules, err := parts.List(ctx, target, commands+"dray", commands+"drayd")
	if err != nil {
		return v1.Descriptor{}, err
	}
	program, err := b.programs(ctx, bin, modules)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := b.config(ctx, p, base, program)
	if err != nil {
		return v1.Descriptor{}, err
	}
	m := v1.Manifest{
		MediaType:   oci.TypeManifest,
		Config:      config,
		Layers:      []v1.Descriptor{base.Descriptor, program.Descriptor},
		Annotations: b.annotations(),
	}
	m.SchemaVersion = 2
	doc, err := b.document(ctx, oci.TypeManifest, m)
	if err == nil && b.judge.Classifier != nil {
		err = b.bill(ctx, doc.Descriptor, modules)
	}
	return doc.Descriptor, err
}

// programs is the layer with the programs in bin, and with the licenses of the modules that they are built from.
func (b *builder) programs(ctx context.Context, bin string, modules []parts.Module) (layer, error) {
	license, err := license(ctx)
	if err != nil {
		return layer{}, err
	}
	return b.layer(ctx, func(w *tar.Writer) error {
		for _, name := range programs {
			binary, err := os.ReadFile(filepath.Join(bin, name))
			if err != nil {
				return err
			}
			if err := b.file(w, binDir+name, 0o755, binary); err != nil {
				return err
			}
		}
		if err := b.file(w, docDir+"LICENSE", 0o644, license); err != nil {
			return err
		}
		return b.file(w, docDir+"THIRD-PARTY-LICENSES", 0o644, parts.Texts(modules))
	})
}

// bill puts the bill of materials of the image, which refers to it.
func (b *builder) bill(ctx context.Context, image v1.Descriptor, modules []parts.Module) error {
	raw, err := parts.SBOM(b.revision, modules, b.judge.Licenses)
	if err != nil {
		return err
	}
	sbom, err := b.blob(ctx, parts.MediaType, raw)
	if err != nil {
		return err
	}
	if _, err := b.blob(ctx, v1.MediaTypeEmptyJSON, v1.DescriptorEmptyJSON.Data); err != nil {
		return err
	}
	m := v1.Manifest{
		MediaType:    oci.TypeManifest,
		ArtifactType: parts.MediaType,
		Config:       v1.DescriptorEmptyJSON,
		Layers:       []v1.Descriptor{sbom},
		Subject:      &v1.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size},
		Annotations:  map[string]string{v1.AnnotationCreated: b.created.Format(time.RFC3339)},
	}
	m.SchemaVersion = 2
	_, err = b.document(ctx, oci.TypeManifest, m)
	return err
}

// license returns dray's license.
func license(ctx context.Context) ([]byte, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/drayage/dray").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
}

// compile builds the programs for p into dir, as make build does.
func compile(ctx context.Context, p v1.Platform, tags, dir string) error {
	args := []string{"build", "-trimpath", "-tags", tags, "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	for _, name := range programs {
		args = append(args, commands+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

func (b *builder) config(ctx context.Context, p v1.Platform, layers ...layer) (v1.Descriptor, error) {
	image := v1.Image{Created: &b.created, Platform: p, Config: v1.ImageConfig{
		User:       user,
		Entrypoint: []string{entrypoint},
		Cmd:        []string{"--help"},
		WorkingDir: "/data",
		Env:        []string{"HOME=/data", "PATH=/usr/bin"},
		Labels:     b.annotations(),
	}, RootFS: v1.RootFS{Type: "layers"}}
	for _, l := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.diff)
		image.History = append(image.History, v1.History{Created: &b.created, CreatedBy: "mkimage"})
	}
	raw, err := json.Marshal(image)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return b.blob(ctx, v1.MediaTypeImageConfig, raw)
}

func (b *builder) annotations() map[string]string {
	a := map[string]string{
		v1.AnnotationTitle:       "dray",
		v1.AnnotationDescription: "Imports, copies and re-tags container images between registries",
		v1.AnnotationLicenses:    "Apache-2.0",
		v1.AnnotationSource:      "https://github.com/drayage/dray",
		v1.AnnotationCreated:     b.created.Format(time.RFC3339),
	}
	if b.revision != "" {
		a[v1.AnnotationRevision] = b.revision
	}
	return a
}

func (b *builder) layer(ctx context.Context, fill func(*tar.Writer) error) (layer, error) {
	var files, zipped bytes.Buffer
	w := tar.NewWriter(&files)
	if err := fill(w); err != nil {
		return layer{}, err
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(files.Bytes()); err != nil {
		return layer{}, err
	}
	if err := z.Close(); err != nil {
		return layer{}, err
	}
	d, err := b.blob(ctx, v1.MediaTypeImageLayerGzip, zipped.Bytes())
	return layer{d, oci.Sum(files.Bytes())}, err
}

func (b *builder) directory(w *tar.Writer, name string) error {
	h := &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: b.created}
	switch name {
	case "data/":
		h.Uid, h.Gid = 65532, 65532
	case "tmp/":
		h.Mode = 0o1777
	}
	return w.WriteHeader(h)
}

func (b *builder) file(w *tar.Writer, name string, mode int64, content []byte) error {
	head := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     mode,
		Size:     int64(len(content)),
		ModTime:  b.created,
	}
	if err := w.WriteHeader(head); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func (b *builder) blob(ctx context.Context, mediaType string, raw []byte) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: mediaType, Digest: oci.Sum(raw), Size: int64(len(raw))}
	_, err := b.layout.Put(ctx, d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(raw[at:])), nil
	})
	return d, err
}

func (b *builder) document(ctx context.Context, mediaType string, body any, tags ...string) (oci.Document, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return oci.Document{}, err
	}
	doc, err := oci.Parse(oci.Descriptor{MediaType: mediaType}, raw)
	if err != nil {
		return doc, err
	}
	_, err = b.layout.PutDocument(ctx, doc, tags...)
	return doc, err
}

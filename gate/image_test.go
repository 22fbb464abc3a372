package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// looking is a gate that calls a function and refuses nothing.
type looking func(context.Context, *gate.Image) error

func (l looking) Admit(ctx context.Context, i *gate.Image) error { return l(ctx, i) }

// look calls do with an image of the source, as a gate would see it.
func look(t *testing.T, y *yard.Yard, source string, do func(context.Context, *gate.Image) error) {
	t.Helper()
	lookAt(t, y, source, plan.Platforms{}, do)
}

// lookAt is look for a copy of some platforms.
func lookAt(t *testing.T, y *yard.Yard, source string, only plan.Platforms, do func(context.Context, *gate.Image) error) {
	t.Helper()
	seen := false
	_, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: source, Targets: []string{"dst/x:y"}, Platforms: only, Gate: looking(func(ctx context.Context, i *gate.Image) error {
		seen = true
		if err := do(ctx, i); err != nil {
			t.Error(err)
		}
		return nil
	})}, nil)
	if err != nil || !seen {
		t.Fatalf("the gate was asked: %v; %v", seen, err)
	}
}

// build stores an image with the given config and annotations.
func build(t *testing.T, r *testbed.Registry, repo, tag, config string, notes map[string]string) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{MediaType: oci.TypeManifest, Annotations: notes, Config: r.Blob(t, repo, v1.MediaTypeImageConfig, []byte(config)),
		Layers: []v1.Descriptor{r.Blob(t, repo, v1.MediaTypeImageLayer, []byte("layer"))}}
	m.SchemaVersion = 2
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return r.Manifest(t, repo, tag, m.MediaType, raw)
}

func index(t *testing.T, r *testbed.Registry, repo, tag string, children ...v1.Descriptor) v1.Descriptor {
	t.Helper()
	list := v1.Index{MediaType: oci.TypeIndex, Manifests: children}
	list.SchemaVersion = 2
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return r.Manifest(t, repo, tag, list.MediaType, raw)
}

func TestTheSizeAndThePlatformsOfAnImageAreThoseOfAllThatMoves(t *testing.T) {
	y := yard.New(t)
	all := testbed.Index(t, y.Src, "multi", "v1", 3)
	one := testbed.Random(t, y.Src, "one", "v1", testbed.RandomOptions{Layers: 3, Size: 5000})
	for source, want := range map[string]string{"src/multi:v1": "linux/amd64 linux/arm64/v8 linux/arm/v7", "src/one:v1": "linux/amd64"} {
		look(t, y, source, func(ctx context.Context, i *gate.Image) error {
			size, err := i.Size(ctx)
			docs, also := i.Documents(ctx)
			platforms, more := i.Platforms(ctx)
			least := one.Bytes
			if i.Name.Path == "multi" {
				least = all.Bytes
			}
			for _, d := range docs {
				least += d.Size
			}
			var names []string
			for _, p := range platforms {
				names = append(names, oci.PlatformString(&p))
			}
			if got := strings.Join(names, " "); size != least || got != want {
				t.Errorf("%s: %d bytes, want %d; %s", source, size, least, got)
			}
			return errors.Join(err, also, more)
		})
	}
}

func TestTheAgeOfAnImageIsThatOfItsNewestPartAndUnknownIfOnePartHasNone(t *testing.T) {
	y := yard.New(t)
	platform := func(d v1.Descriptor, arch string) v1.Descriptor {
		d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		return d
	}
	config := func(arch, created string) string {
		if created != "" {
			created = `,"created":"` + created + `"`
		}
		return fmt.Sprintf(`{"architecture":%q,"os":"linux"%s}`, arch, created)
	}
	old := platform(build(t, y.Src, "app", "old", config("amd64", "2020-01-02T03:04:05Z"), nil), "amd64")
	young := platform(build(t, y.Src, "app", "young", config("arm64", "2026-01-02T03:04:05Z"), nil), "arm64")
	epoch := platform(build(t, y.Src, "app", "epoch", config("s390x", "1970-01-01T00:00:00Z"), nil), "s390x")
	build(t, y.Src, "app", "none", config("amd64", ""), nil)
	build(t, y.Src, "app", "noted", config("amd64", "1980-01-01T00:00:01Z"), map[string]string{v1.AnnotationCreated: "2024-05-06T07:08:09Z"})
	attestation := platform(build(t, y.Src, "app", "att", config("unknown", ""), nil), "unknown")
	attestation.Platform.OS = "unknown"
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(old.Digest)}
	index(t, y.Src, "app", "both", old, young)
	index(t, y.Src, "app", "mixed", old, epoch)
	index(t, y.Src, "app", "attested", old, attestation)
	for tag, want := range map[string]string{
		"old": "2020-01-02", "young": "2026-01-02", "epoch": "0001-01-01", "none": "0001-01-01", "noted": "2024-05-06",
		"both": "2026-01-02", "mixed": "0001-01-01", "attested": "2020-01-02",
	} {
		look(t, y, "src/app:"+tag, func(ctx context.Context, i *gate.Image) error {
			when, err := i.Created(ctx)
			if got := when.Format(time.DateOnly); got != want {
				t.Errorf("%s: %s, want %s", tag, got, want)
			}
			return err
		})
	}
	only := plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}}
	lookAt(t, y, "src/app:both", only, func(ctx context.Context, i *gate.Image) error {
		when, err := i.Created(ctx)
		if got := when.Format(time.DateOnly); got != "2020-01-02" || i.Root.Digest == i.Moves.Digest {
			t.Errorf("of the platform that moves: %s", got)
		}
		return err
	})
	look(t, y, "src/app:attested", func(ctx context.Context, i *gate.Image) error {
		platforms, err := i.Platforms(ctx)
		if len(platforms) != 1 {
			t.Errorf("%v", platforms)
		}
		return err
	})
}

func TestReferrersAreThoseOfTheImageAndHaveTheTypeOfTheirManifest(t *testing.T) {
	y := yard.New(t)
	app := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	other := testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 2})
	sig := testbed.Artifact(t, y.Src, "app", "", app.Root)
	foreign := testbed.Artifact(t, y.Src, "app", "", other.Root)
	lie := foreign.Root
	lie.ArtifactType = "application/made.up"
	wrong := sig.Root
	wrong.ArtifactType = "application/vnd.oci.empty.v1+json" // as some registries write it
	gone := sig.Root
	gone.Digest = oci.Sum([]byte("gone"))
	index(t, y.Src, "app", strings.Replace(app.Digest(), ":", "-", 1), wrong, lie, gone)
	look(t, y, "src/app:v1", func(ctx context.Context, i *gate.Image) error {
		list, err := i.Referrers(ctx)
		if len(list) != 1 || list[0].Digest != sig.Root.Digest || list[0].ArtifactType != testbed.ArtifactType {
			t.Errorf("%+v", list)
		}
		return err
	})
	look(t, y, "src/app:v2", func(ctx context.Context, i *gate.Image) error {
		_, has, err := i.Attached(ctx, "sig")
		if has {
			t.Error("a signature where there is none")
		}
		return err
	})
}

func TestABlobIsReadWholeAndOnlyIfItIsSmall(t *testing.T) {
	y := yard.New(t)
	app := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Size: gate.MaxBlob + 1})
	look(t, y, "src/app:v1", func(ctx context.Context, i *gate.Image) error {
		if _, err := i.Blob(ctx, app.Layers[0]); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%v", err)
		}
		config := app.Layers[1]
		raw, err := i.Blob(ctx, config)
		if oci.Sum(raw) != config.Digest || !bytes.HasPrefix(raw, []byte("{")) {
			t.Errorf("%s", raw)
		}
		short := config
		short.Size--
		if _, err := i.Blob(ctx, short); !fault.Is(err, fault.Corrupt) {
			t.Errorf("a blob that is longer than its descriptor says: %v", err)
		}
		return err
	})
}

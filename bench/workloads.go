package main

import (
	"fmt"
	"slices"
	"time"
)

// sizes are the sizes of the workloads, in bytes unless they count something.
type sizes struct {
	Big    int64 `json:"big"`    // the big layer
	Layer  int64 `json:"layer"`  // each of twenty layers
	Far    int64 `json:"far"`    // the layer from a far source
	Broken int64 `json:"broken"` // each of four layers whose transfer is cut
	Own    int64 `json:"own"`    // the layer that each image which is carried in files has alone
	Tags   int   `json:"tags"`   // of the repository that is copied, and is in sync after that
	Many   int   `json:"many"`   // of the large repository in sync
}

var (
	quick = sizes{Big: 256 << 20, Layer: 8 << 20, Far: 64 << 20, Broken: 16 << 20, Own: 1 << 18, Tags: 100, Many: 300}
	full  = sizes{Big: 1 << 30, Layer: 32 << 20, Far: 256 << 20, Broken: 128 << 20, Own: 1 << 20, Tags: 100, Many: 1000}
)

// workload is one task between two registries, with a lower bound of its duration.
type workload struct {
	Name, What       string
	Src, Dst         string // kinds of registries: mem, hash, sink, dist, dray
	SrcLink, DstLink link
	Faults           [2]faults
	Verb             verb
	Images           func(z sizes) []image
	Held             func(images []image) []image // what the target has before the run; nil is nothing
	To               func(m image) image          // the name of an image at the target; nil keeps the name
	Bound            func(w workload, m machine, images []image) (time.Duration, string)
	OneHost          bool   // source and target are one registry, which has Images
	Wide             bool   // there is parallel work, so peers also run with their best flags
	Bulk             bool   // both registries list digests as Azure's do
	Signed           bool   // what refers to the images is copied, too; both registries list it
	Bearer           bool   // both registries require tokens, which everybody gets
	Ends             int    // number of targets; 0 means one
	Note             string // what a reader of the result has to know; "" is nothing
}

const repo = "bench/app"

func small(sizes) []image        { return []image{single(repo, "v1", 1, 1, 64<<10)} }
func oneBig(z sizes) []image     { return []image{single(repo, "v1", 2, 1, z.Big)} }
func twenty(z sizes) []image     { return []image{single(repo, "v1", 3, 20, z.Layer)} }
func platforms(sizes) []image    { return []image{index(4, 8, 4<<20)} }
func tags(z sizes) []image       { return family(repo, z.Tags, 128<<10) }
func many(z sizes) []image       { return family(repo, z.Many, 1<<10) }
func manySigned(z sizes) []image { return signed(many(z)) }
func oneFar(z sizes) []image     { return []image{single(repo, "v1", 4, 1, z.Far)} }
func fourBroken(z sizes) []image { return []image{single(repo, "v1", 5, 4, z.Broken)} }
func twentyTags(sizes) []image   { return family(repo, 20, 64<<10) }
func tenLayers(sizes) []image    { return []image{single(repo, "v1", 6, 10, 4<<20)} }
func all(images []image) []image { return images }

func eightPlatforms(sizes) []image { return []image{index(8, 4, 4<<20)} }

func twoTags(z sizes) []image { return fleet(20, z.Own, "v1", "v2") }

// newTags returns twoTags, and one more tag in each of the first four repositories.
func newTags(z sizes) []image { return append(fleet(4, z.Own, "v1", "v2", "v3"), twoTags(z)[8:]...) }

// older returns what was there before newTags.
func older(images []image) []image {
	return slices.DeleteFunc(slices.Clone(images), func(m image) bool { return m.Tag == "v3" })
}

func twentyByTwenty(sizes) []image {
	var out []image
	for i := range 20 {
		out = append(out, family(fmt.Sprintf("bench/app%02d", i), 20, 2<<10)...)
	}
	return out
}

// oneChanged returns what a target has if all tags but one are up to date.
func oneChanged(images []image) []image {
	out := append([]image(nil), images...)
	at := len(out) / 2
	out[at] = single(out[at].Repo, out[at].Tag, 4711, 3, 2<<10)
	return out
}

func elsewhere(m image) image { m.Repo = "other/app"; return m }
func stable(m image) image    { m.Tag = "stable"; return m }

// workloads returns the workloads in the order of running.
func workloads() []workload {
	farH2 := far
	farH2.H2 = offerH2
	list := []workload{
		{Name: "W0", What: "fresh copy of a 64 KiB image, loopback",
			Dst: "hash", Verb: copyImage, Images: small},
		{Name: "W0w", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyImage, Images: small, Bound: trips(8)},
		{Name: "W1", What: "one big layer to a target that verifies nothing",
			Dst: "sink", Verb: copyImage, Images: oneBig, Bound: hashed(1)},
		{Name: "W1d", What: "one big layer, distribution on files at both sides",
			Src: "dist", Dst: "dist", Verb: copyImage, Images: oneBig, Bound: written},
		{Name: "W1e", What: "one big layer, embedded dray registry at both sides",
			Src: "dray", Dst: "dray", Verb: copyImage, Images: oneBig, Bound: written},
		{Name: "W2", What: "20 layers to a target that verifies nothing",
			Dst: "sink", Verb: copyImage, Images: twenty, Wide: true, Bound: hashed(2)},
		{Name: "W2d", What: "20 layers, distribution on files at both sides",
			Src: "dist", Dst: "dist", Verb: copyImage, Images: twenty, Wide: true, Bound: written},
		{Name: "W3", What: "index of 4 platforms with 8 layers of 4 MiB",
			Dst: "sink", Verb: copyImage, Images: platforms, Wide: true, Bound: hashed(2)},
		{Name: "W3w", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyImage, Images: platforms, Wide: true, Bound: streamed(8)},
		{Name: "W4", What: "first sync of tags that share 9 of 10 layers, loopback",
			Dst: "hash", Verb: copyTags, Images: tags, Wide: true},
		{Name: "W4w", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyTags, Images: tags, Wide: true, Bound: streamed(7)},
		{Name: "W5", What: "the same tags in sync, loopback",
			Dst: "hash", Verb: copyTags, Images: tags, Held: all, Wide: true},
		{Name: "W5w", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyTags, Images: tags, Held: all, Wide: true, Bound: heads},
		{Name: "W5a", What: "the same tags in sync, loopback, registries that require tokens",
			Dst: "hash", Verb: copyTags, Images: tags, Held: all, Wide: true, Bearer: true},
		{Name: "W6", What: "many tags in sync, loopback: what a run costs that has nothing to do",
			Dst: "hash", Verb: copyTags, Images: many, Held: all, Wide: true, Note: "dray: 1 HEAD for each on both sides"},
		{Name: "W6w", What: "many tags in sync, both far, HEADs",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyTags, Images: many, Held: all, Wide: true, Bound: heads},
		{Name: "W6b", What: "many tags in sync, both far, registries that list digests",
			Dst: "hash", SrcLink: far, DstLink: far,
			Verb: copyTags, Images: many, Held: all, Wide: true, Bulk: true, Bound: trips(3)},
		{Name: "W6s", What: "many signed tags in sync, loopback, if each is asked what refers to it: --referrers=sync",
			Dst: "hash", Verb: copyTags, Images: manySigned, Held: all, Wide: true, Signed: true,
			Note: "dray: 1 GET more at the source for each image and referrer, 1 at the target for each signed image"},
		{Name: "W6sw", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far,
			Verb: copyTags, Images: manySigned, Held: all, Wide: true, Signed: true, Bound: asked},
		{Name: "W7r", What: "re-tag, loopback",
			Dst: "mem", Verb: retag, Images: tenLayers, OneHost: true, To: stable},
		{Name: "W7rw", What: "re-tag, far",
			Dst: "mem", DstLink: far, Verb: retag, Images: tenLayers, OneHost: true, To: stable, Bound: trips(4)},
		{Name: "W7m", What: "copy between repositories of one registry, loopback",
			Dst: "mem", Verb: copyImage, Images: tenLayers, OneHost: true, To: elsewhere},
		{Name: "W7mw", What: "the same, far",
			Dst: "mem", DstLink: far,
			Verb: copyImage, Images: tenLayers, OneHost: true, To: elsewhere, Wide: true, Bound: trips(5)},
		{Name: "W8a", What: "one layer from a far source",
			Dst: "hash", SrcLink: far, Verb: copyImage, Images: oneFar, Bound: ranged},
		{Name: "W8b", What: "20 layers from a far source",
			Dst: "hash", SrcLink: far, Verb: copyImage, Images: twenty, Wide: true, Bound: streamed(6)},
		{Name: "W8c", What: "20 layers, both far",
			Dst: "hash", SrcLink: far, DstLink: far, Verb: copyImage, Images: twenty, Wide: true, Bound: streamed(8)},
		{Name: "W8h2", What: "20 layers from a far source that offers HTTP/2",
			Dst: "hash", SrcLink: farH2, Verb: copyImage, Images: twenty, Wide: true, Bound: streamed(6)},
		{Name: "W9", What: "20 repositories of 20 tags, one tag changed, loopback",
			Dst: "hash", Verb: copyRepos, Images: twentyByTwenty, Held: oneChanged, Wide: true},
		{Name: "W10", What: "20 layers from a far source to 2 registries",
			Dst: "hash", SrcLink: far, Verb: copyImage, Images: twenty, Wide: true, Ends: 2, Bound: streamed(6)},
		{Name: "W11", What: "the same to 3",
			Dst: "hash", SrcLink: far, Verb: copyImage, Images: twenty, Wide: true, Ends: 3, Bound: streamed(6)},
	}
	list = append(list, some()...)
	list = append(list, carried()...)
	list = append(list, faulty()...)
	for i := range list {
		if list[i].Src == "" {
			list[i].Src = "mem"
		}
	}
	return list
}

// some returns the workloads in which a part of an image moves.
func some() []workload {
	const note = "regctl leaves the whole index, crane, skopeo and oras the image without an index. " +
		"ocync can do this, too; it cannot be built from Go modules, so it is not here"
	return []workload{
		{Name: "W12", What: "1 of 8 platforms of an index, 4 layers of 4 MiB each, loopback",
			Dst: "hash", Verb: copyPlatform, Images: eightPlatforms, Wide: true, Bound: hashed(2), Note: note},
		{Name: "W12w", What: "the same, both far",
			Dst: "hash", SrcLink: far, DstLink: far,
			Verb: copyPlatform, Images: eightPlatforms, Wide: true, Bound: streamed(8), Note: note},
	}
}

// carried returns the workloads in which images become files, and files become images.
func carried() []workload {
	const note = "skopeo: sync, and tar; skopeo oci: copy into one layout, and tar; " +
		"oras: backup and restore, a file for each repository"
	const again = "the peers cannot leave out what the receiver has, so they carry everything again. " +
		"dray first asks the receiver"
	return []workload{
		{Name: "W13", What: "20 repositories of 2 tags, which share layers, into a file, loopback",
			Dst: "hash", Verb: toFiles, Images: twoTags, Wide: true, Bound: hashed(1), Note: note},
		{Name: "W13l", What: "that file into an empty registry",
			Dst: "hash", Verb: fromFiles, Images: twoTags, Wide: true, Bound: hashed(2), Note: note},
		{Name: "W14", What: "the same with 1 new tag in 4 repositories, for a receiver that has all others, into a file",
			Dst: "hash", Verb: toFiles, Images: newTags, Held: older, Wide: true, Note: again},
		{Name: "W14l", What: "that file into the registry that has all others",
			Dst: "hash", Verb: fromFiles, Images: newTags, Held: older, Wide: true, Note: again},
	}
}

// faulty returns the workloads whose registries cut connections or refuse requests.
func faulty() []workload {
	return []workload{
		{Name: "F1", What: "each GET of 4 layers cut once at three quarters",
			Dst: "hash", Verb: copyImage, Images: fourBroken, Faults: [2]faults{{CutGets: true}, {}}},
		{Name: "F2", What: "every 10th answer of the source is 429, Retry-After 1; 20 tags",
			Dst: "hash", Verb: copyTags, Images: twentyTags, Faults: [2]faults{{Every429: 10}, {}}},
		{Name: "F3", What: "the first 4 uploads cut in the middle, sessions kept",
			Dst: "hash", Verb: copyImage, Images: fourBroken, Faults: [2]faults{{}, {CutUploads: 4}}},
		{Name: "F4", What: "every 15th answer of both is 500; 20 tags",
			Dst: "hash", Verb: copyTags, Images: twentyTags, Faults: [2]faults{{Every500: 15}, {Every500: 15}}},
	}
}

// trips is a bound of n round trips one after another, including the two of TCP and TLS.
func trips(n int) func(workload, machine, []image) (time.Duration, string) {
	return func(w workload, _ machine, _ []image) (time.Duration, string) {
		return time.Duration(n) * w.DstLink.RTT, fmt.Sprintf("%d round trips", n)
	}
}

// hashed is a bound: sha256 of all bytes on the given number of cores.
func hashed(cores int) func(workload, machine, []image) (time.Duration, string) {
	return func(_ workload, m machine, images []image) (time.Duration, string) {
		n := min(cores, m.Cores)
		return over(size(images), m.Hash*int64(n)), fmt.Sprintf("sha256 of all bytes on %d core(s)", n)
	}
}

// written is a bound: writing one file of the same size, with fsync.
func written(_ workload, m machine, images []image) (time.Duration, string) {
	return over(size(images), m.Disk), "writing the bytes to a file, with fsync"
}

// streamed is a bound: the largest blob on one connection while all others run, and n round trips.
func streamed(n int) func(workload, machine, []image) (time.Duration, string) {
	return func(_ workload, m machine, images []image) (time.Duration, string) {
		d := time.Duration(n)*far.RTT + over(largest(images), far.Rate)
		if h := over(size(images), m.Hash*int64(m.Cores)); h > d {
			return h, "sha256 of all bytes on all cores"
		}
		return d, fmt.Sprintf("the largest layer on one connection + %d round trips", n)
	}
}

// ranged is a bound: one layer on sixteen connections.
func ranged(_ workload, m machine, images []image) (time.Duration, string) {
	d := 6*far.RTT + over(largest(images), 16*far.Rate)
	return max(d, over(size(images), m.Hash)), "the layer on 16 connections + 6 round trips"
}

// heads is a bound: a list and one HEAD for each tag, 64 in parallel.
func heads(_ workload, _ machine, images []image) (time.Duration, string) {
	waves := (len(images) + 63) / 64
	return time.Duration(3+waves) * far.RTT, fmt.Sprintf("TCP, TLS, a list and %d wave(s) of 64 HEADs", waves)
}

// asked is the bound heads, and one more request for each tag.
func asked(_ workload, _ machine, images []image) (time.Duration, string) {
	waves := 2 * ((len(images) + 63) / 64)
	return time.Duration(3+waves) * far.RTT, fmt.Sprintf("TCP, TLS, a list and %d wave(s) of 64 requests", waves)
}

func over(n, rate int64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

func largest(images []image) (n int64) {
	for _, m := range images {
		for _, b := range m.Blobs {
			n = max(n, int64(len(b)))
		}
	}
	return n
}

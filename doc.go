// Package dray copies container images and other OCI artifacts between registries, byte for byte and
// without Docker: the digest at the target is the digest at the source.
//
// # Use
//
// [New] makes a [Dray] from a [Config]. A copy has two parts. A method such as [Dray.PlanCopy] looks at
// both registries and returns a plan; it writes nothing. [Dray.Apply] carries the plan out.
//
//	d, err := dray.New(dray.Config{})
//	if err != nil {
//		return err
//	}
//	defer d.Close()
//	p, err := d.PlanCopy(ctx, dray.CopyRequest{
//		Source:  "docker.io/library/nginx:1.27",
//		Targets: []string{"prod.example/web/nginx"},
//	}, nil)
//	if err != nil {
//		return err
//	}
//	fmt.Print(p) // copy  docker.io/library/nginx:1.27 -> prod.example/web/nginx:1.27  sha256:…
//	report, err := d.Apply(ctx, p, nil)
//
// Most of the methods have an example.
//
// # Methods
//
// Plans for images, which [Dray.Apply] carries out:
//   - [Dray.PlanImport]: one image under names in one registry, as az acr import does.
//   - [Dray.PlanCopy]: one image, or all tags of a repository, to one or more targets.
//   - [Dray.PlanTag]: more tags for an image in its repository.
//   - [Dray.PlanBatch]: a list of images.
//
// Whole registries, one repository at a time, so that their size is not limited by memory:
//   - [Dray.PlanTransfer]: what a transfer would do.
//   - [Dray.Transfer]: plan and carry out.
//   - [Dray.Verify]: compare targets with their sources.
//   - [Dray.SplitTransfer], [Dray.SplitVerify] and [Dray.SplitBatch]: the same on several processes.
//
// Plans in files, to review and to apply later:
//   - [Prepared] has a Write method, and [ReadPlan] reads the file.
//   - [Dray.ApplyFile] carries a plan out while it reads it.
//   - [Dray.Estimate] says what a plan would cost.
//
// Look at a registry, or remove images from it:
//   - [Dray.List], [Dray.ListTags] and [Dray.ListManifests]
//   - [Dray.Digest], [Dray.Manifest], [Dray.ImageConfig] and [Dray.Inspect]
//   - [Dray.Check]: can this image be copied there?
//   - [Dray.PlanRemove] and [Dray.Remove]
//
// A plan names the digests that it copies. Applied later, it copies exactly these, or refuses with
// [fault.Moved] if a name has changed since.
//
// # Names, logins, events and errors
//
// Names are those of package [github.com/drayage/dray/ref]: "docker.io/library/nginx:1.27",
// "oci:DIR:TAG" and "oci:DIR:HOST/REPO:TAG" for an OCI image layout on disk, and "prod/app:v1" if prod is one of
// Config.Registries.
//
// Logins come from Config.Logins, a chain of lookups of package
// [github.com/drayage/dray/credential], or from the request. Without a login, dray is anonymous.
//
// The package prints nothing and logs nothing. It reports what happens to the [event.Observer] that a
// method receives; nil ignores it. Every error is a [*fault.Fault] or wraps one, and its
// [fault.Kind] says what the caller can do about it.
//
// # Compatibility
//
// Versions follow Semantic Versioning. The JSON form of the answers is stable, as package
// [github.com/drayage/dray/report] says. A plan file names the version of its format, and a dray that
// does not know this version refuses the file.
//
// # Files
//
// In the order in which they use each other. Each verb has a file with its request and its method. The
// work is done in packages below internal.
//
//	import.go    one source image under names in one registry, as az acr import does
//	copy.go      one image, or all tags of a repository
//	tag.go       more tags for an image
//	bundle.go    files for a registry that no network reaches
//	batch.go     a list of images
//	verify.go    compare targets with their sources
//	transfer.go  whole registries
//	check.go     can an image be copied?
//	look.go      list and inspect
//	remove.go    remove an image
//	plan.go      plans: apply, write, read, estimate
//	dray.go      Config, New, Close
//	report.go    the types of package report under their names here
package dray

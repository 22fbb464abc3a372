package oci_test

import (
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Read an index. A document that does not match its descriptor is refused.
func ExampleParse() {
	raw := []byte(`{"schemaVersion": 2, "manifests": [{
		"mediaType": "application/vnd.oci.image.manifest.v1+json",
		"digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"size": 4,
		"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]}`)

	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, child := range doc.Documents {
		fmt.Println(oci.PlatformString(child.Platform))
	}

	_, err = oci.Parse(oci.Descriptor{Digest: oci.Sum([]byte("other content"))}, raw)
	fmt.Println(fault.KindOf(err))
	// Output:
	// linux/arm64/v8
	// corrupt
}

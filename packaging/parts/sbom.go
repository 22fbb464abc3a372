package parts

import (
	"bytes"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// MediaType is the media type of an SBOM.
const MediaType = "application/vnd.cyclonedx+json"

// SBOM returns a bill of materials of a program with these modules, in CycloneDX 1.6 as JSON. Equal input gives equal
// bytes. revision is the version of the program.
func SBOM(revision string, all []Module, licenses func(Module) []string) ([]byte, error) {
	const self = "pkg:golang/github.com/drayage/dray"
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef:   self,
		Type:     cdx.ComponentTypeApplication,
		Name:     "dray",
		Version:  revision,
		Licenses: choices([]string{"Apache-2.0"}),
	}}
	components, needs := []cdx.Component{}, []string{}
	for _, m := range all {
		purl := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
		components = append(components, cdx.Component{
			BOMRef:     purl,
			Type:       cdx.ComponentTypeLibrary,
			Name:       m.Path,
			Version:    m.Version,
			PackageURL: purl,
			Licenses:   choices(licenses(m)),
		})
		needs = append(needs, purl)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: self, Dependencies: &needs}}
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

func choices(ids []string) *cdx.Licenses {
	var all cdx.Licenses
	for _, id := range ids {
		all = append(all, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return &all
}

// Package parts finds what dray's programs are built from: the modules, with their licenses. It writes the texts of
// the licenses, which a binary must carry, and a bill of materials.
//
// The files, in the order of the walk:
//
//	sbom.go   SBOM: a bill of materials in CycloneDX
//	texts.go  Texts: the licenses of all modules
//	parts.go  List: the modules of programs, and their licenses
package parts

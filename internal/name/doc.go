// Package name parses the names that users write. It knows the rules of `az acr`, the names of
// configured registries, short names such as "nginx", and the two ends of a transfer. It sends no
// request to a registry.
//
// Files, in the order in which they use each other:
//
//	import.go   the names in an import or a copy
//	end.go      one end of a transfer: a registry, a prefix in it, or one repository
//	az.go       registries as `az acr` names them
//	name.go     Reader: registries and full names
//	words.go    how hints call the parts of a request
//	similar.go  names that resemble another, for hints
package name

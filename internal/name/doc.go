// Package name reads names as people type them: az's rules, configured registries, short
// names, ends of a transfer. It asks nothing of a registry.
//
// Files, in the order in which they use each other:
//
//	import.go  what an import or a copy names
//	end.go     an end of a transfer: a registry, a prefix of it, one repository
//	name.go    the reader: registries and full names
package name

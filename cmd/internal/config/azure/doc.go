// Package azure reads what the configuration says about a registry of Azure: whether Azure imports images into it, and
// which identity reads it.
//
//	azure.go  the keys, and the lookup of the identity
package azure

// Package azure reads what the configuration says about a registry of Azure: whether Azure imports images into it, and
// which identity reads it.
package azure

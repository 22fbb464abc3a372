// Package disk has small disks for tests that fill them.
package disk

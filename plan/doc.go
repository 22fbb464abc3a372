// Package plan decides what a copy does. It is a pure package: it makes no requests, reads no files and
// never asks for the time. Functions that loop over names of others take a context, which can only end them.
//
// The function [Make] compares two inventories, the names and digests at the source and at the target,
// under some [Rules]. Its result is a list of [Step] values, each with an [Action]. A [Plan] is a value
// that a program can print, save with [Plan.Write], review, read with [Read], and apply later with
// package dray.
//
// Programs that use package dray need these parts of the package for their requests:
//   - [Overwrite], [Hold] and [Backup]: what to do with names that exist, and after an error.
//   - [Selection] and [Words]: which repositories and tags to copy.
//   - [Mapping]: which repository becomes which.
//   - [TagMap]: which tag becomes which.
//   - [Referrers]: which signatures and other referrers travel with an image.
//   - [InUse]: which images run in a cluster.
//   - [Platforms]: which platforms of an image to copy.
//   - [Reader] and [Writer]: plan files of any length.
//
// For example, this selects the two highest versions of each repository below team/ that were set in the
// last 90 days, and renames team/app to mirror/app:
//
//	words := plan.Words{IncludeRepositories: []string{"team/*"}, NewerThan: "90d", Latest: 2, Order: "version"}
//	selection, err := words.Selection(time.Now())
//	if err != nil {
//		return err
//	}
//	req := dray.TransferRequest{
//		Sources:   []string{"dev.example"},
//		Target:    "prod.example",
//		Selection: selection,
//		Mapping:   plan.Mapping{StripPrefix: "team", AddPrefix: "mirror"},
//	}
//
// Equal inputs give equal results, byte for byte, in whatever order the inputs come.
//
// # Compatibility
//
// A plan file begins with the version of its format, which is 1. Read refuses any other version, and any
// field that it does not know. The JSON form of steps and explanations is stable: a later version may
// add a field, but a field keeps its name and its meaning.
//
// # Files
//
// In the order of the walk:
//
//	file.go       a plan as a file, whole or step by step
//	backup.go     tags that keep what other tags held before they are overwritten
//	merge.go      plan several sources for one target, name by name
//	mapping.go    which repository becomes which
//	tagmap.go     which tag becomes which
//	selection.go  which repositories and tags to copy
//	inuse.go      which images run in a cluster
//	explain.go    why a selection keeps or drops a name
//	version.go    ranges of semantic versions
//	letters.go    select by the first letter
//	pattern.go    globs and regular expressions
//	plan.go       Inventory, Rules, Plan, Step; Make; the parts of a copy and a batch request
//	choice.go     what of an image is copied, and what travels with it: platforms, referrers
//	text.go       compile expressions at first use; strict JSON; errors about texts
package plan

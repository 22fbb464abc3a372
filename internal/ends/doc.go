// Package ends opens the ends of a copy that are files, other than layouts: archives of layouts,
// archives of docker, and directories of skopeo. Each of them is read and written as a layout.
//
// For reading, the names in a layout are mapped to the files of the end. What the end does not have
// as a file, such as the manifests of an archive of docker 1.10 to 24, is made from what it has. No
// byte of a manifest, a config or a layer changes on the way.
//
// For writing, the content goes into a layout beside the end, the stage. Commit makes the end from
// the stage, under a temporary name, and renames it: the end appears whole or not at all. If a run
// ends before, the stage stays, and the next run for the same end verifies it and goes on with it. A
// stage is not synced to disk: only what was made from it is.
//
// Files, in the order of the walk:
//
//	writing.go       the ends that one run writes
//	begin.go         opens the stage of an end, and verifies what an earlier run left in it
//	commit.go        makes the end from its stage
//	tagged.go        manifest.json of an archive of docker
//	folder.go        writes a directory of skopeo
//	stage.go         where the content of an end is until then
//	reading.go       opens ends for reading, each once
//	docker.go        reads an archive of docker
//	older.go         makes the manifests that older archives of docker lack
//	saved.go         an archive of docker that is being opened
//	directory.go     reads a directory of skopeo
//	collect.go       finds all content of a layout
//	view.go          files under the names that they have in a layout
//	fault.go         makes errors
//	sync_unix.go     makes renames durable
//	sync_windows.go  the same on Windows, which cannot
package ends

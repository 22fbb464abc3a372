package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// carry lets a tool write images into files, and load the files into a registry. It measures the half that the
// workload names. Only if the target has everything in the end has either half a time.
func (b *bench) carry(t tool, c content, dir string, from, to *side, target http.Handler) (s sample, err error) {
	for _, half := range []verb{toFiles, fromFiles} {
		j := c.job(filepath.Join(dir, strings.ReplaceAll(string(half), " ", "-")), from.addr, to.addr)
		j.Verb, j.Later, j.Carried = half, c.Held != nil, filepath.Join(dir, "carried")
		for _, d := range []string{j.Dir, j.Carried} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				return s, err
			}
		}
		src, dst := from.counts(), to.counts()
		out, err := b.run(t, j)
		if err != nil {
			return s, err
		}
		if half == c.Verb {
			s.outcome, s.Src, s.Dst = out, from.counts().since(src), to.counts().since(dst)
		}
		if out.Failed != "" || out.Over {
			s.outcome = out
			return s, nil
		}
		if half == toFiles {
			if s.Carried, err = bytesBelow(j.Carried); err != nil {
				return s, err
			}
		}
	}
	if err := c.verify(target, t); err != nil {
		s.Wrong = err.Error()
	}
	return s, nil
}

// bytesBelow returns the size of all files below a directory.
func bytesBelow(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			n += st.Size()
		}
		return err
	})
	return n, err
}

func (j job) file(name string) string { return filepath.Join(j.Carried, name) }

// drayBundle uses dray bundle. If the receiver has images already, the list of what it has is a part of the work.
func drayBundle(t tool, j job) order {
	tar := j.file("images.tar")
	if j.Verb == fromFiles {
		return order{Cmds: [][]string{{t.Path, "bundle", "load", tar, j.Hosts[1]}}}
	}
	create := []string{t.Path, "bundle", "create", "--transfer", j.Hosts[0], "-o", tar}
	if !j.Later {
		return order{Cmds: [][]string{create}}
	}
	return order{
		First: [][]string{{"sh", "-c", `exec "$0" bundle have "$1" >have`, t.Path, j.Hosts[1]}},
		Cmds:  [][]string{append(create, "--since", "have")},
	}
}

// skopeoDirectory uses skopeo sync, which writes each image into a directory of its own, and tar.
func skopeoDirectory(t tool, j job) (order, error) {
	tar, dir := j.file("images.tar"), filepath.Join(j.Dir, "images")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return order{}, err
	}
	sync := []string{t.Path, "sync", "--all", "--src"}
	if j.Verb == fromFiles {
		to := filepath.Dir(j.Hosts[1] + "/" + j.To[0])
		return order{
			First: [][]string{{"tar", "-xf", tar, "-C", dir}},
			Cmds:  [][]string{append(sync, "dir", "--dest", "docker", "--dest-tls-verify=false", dir, to)},
		}, nil
	}
	repos := map[string][]string{} // all tags of each
	for _, r := range j.From {
		repos[r] = []string{}
	}
	file := filepath.Join(j.Dir, "sync.yaml") // JSON is YAML
	list := map[string]any{j.Hosts[0]: map[string]any{"tls-verify": false, "images": repos}}
	return order{
		First: [][]string{append(sync, "yaml", "--dest", "dir", file, dir)},
		Cmds:  [][]string{{"tar", "-cf", tar, "-C", dir, "."}},
	}, writeJSON(file, list)
}

// skopeoLayout uses skopeo copy with one OCI layout, in which images share their blobs, and tar. Only one process at
// a time can write to a layout.
func skopeoLayout(t tool, j job) order {
	tar, dir := j.file("images.tar"), filepath.Join(j.Dir, "images")
	o := order{}
	for _, name := range j.Tags {
		layout := "oci:" + dir + ":" + name
		if j.Verb == fromFiles {
			o.Cmds = append(o.Cmds, []string{t.Path, "copy", "-q", "--all", "--dest-tls-verify=false",
				layout, "docker://" + j.Hosts[1] + "/" + name})
		} else {
			o.First = append(o.First, []string{t.Path, "copy", "-q", "--all", "--src-tls-verify=false",
				"docker://" + j.Hosts[0] + "/" + name, layout})
		}
	}
	if j.Verb == fromFiles {
		o.First = [][]string{{"mkdir", dir}, {"tar", "-xf", tar, "-C", dir}}
		o.Parallel = 8
	} else {
		o.Cmds = [][]string{{"tar", "-cf", tar, "-C", dir, "."}}
	}
	return o
}

// orasBackup uses oras backup and oras restore, which know archives of one repository.
func orasBackup(t tool, j job) order {
	flags := []string{"--plain-http", "--no-tty"}
	o := order{}
	if t.Wide {
		flags, o.Parallel = append(flags, "--concurrency", "32"), 8
	}
	for _, r := range j.From {
		tar := j.file(strings.ReplaceAll(r, "/", "-") + ".tar")
		cmd := []string{t.Path, "backup", "--output", tar, j.Hosts[0] + "/" + r}
		if j.Verb == fromFiles {
			cmd = []string{t.Path, "restore", "--input", tar, j.Hosts[1] + "/" + r}
		}
		o.Cmds = append(o.Cmds, append(cmd, flags...))
	}
	return o
}

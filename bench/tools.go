package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// verb is what a tool must do.
type verb string

const (
	copyImage    verb = "image"      // one image, all platforms
	copyPlatform verb = "platform"   // wantedPlatform of one image
	copyTags     verb = "tags"       // every tag of one repository
	copyRepos    verb = "repos"      // every tag of several repositories
	retag        verb = "tag"        // another tag for one image
	toFiles      verb = "to files"   // every tag of several repositories into files
	fromFiles    verb = "from files" // the images of these files into a registry
)

// job is a verb with its names. The names have no host.
type job struct {
	Verb  verb
	From  []string // "repo:tag" for images and tags, "repo" otherwise
	To    []string // the same for the target; unused by retag
	Tags  []string // "repo:tag" of all images
	New   string   // the new tag of retag
	Hosts []string // the host of the source, then those of the targets
	TLS   [2]tlsMode
	Bulk  bool // the registries list digests as Azure's do
	// Signed says that what refers to the images is copied, too.
	Signed bool
	// Later says that the target has a part of the images already.
	Later   bool
	Dir     string // where the tool runs; of toFiles and fromFiles, each has its own
	Carried string // the directory of the files that toFiles writes and fromFiles reads
}

func (j job) src(i int) string { return j.Hosts[0] + "/" + j.From[i] }
func (j job) dst(i int) string { return j.Hosts[1] + "/" + j.To[i] }

// renamed returns the new name of retag.
func (j job) renamed() string {
	from := j.src(0)
	return from[:strings.LastIndex(from, ":")+1] + j.New
}

// dsts returns the names of the first image at all targets.
func (j job) dsts() []string {
	var all []string
	for _, h := range j.Hosts[1:] {
		all = append(all, h+"/"+j.To[0])
	}
	return all
}

// tool is a program with flags. Commands writes the configuration that the job requires to job.Dir.
type tool struct {
	Name     string
	Peer     string // the program: dray, crane, regctl, skopeo, oras
	Does     []verb // what it can do; it is left out of the other workloads
	Wide     bool   // uses the best flags for parallel work; left out if a workload has no parallel work
	Refers   bool   // copies what refers to an image; others are left out if a workload has it
	Trusts   []verb // where it sends bytes on without verifying their digest, so that only the target may notice damage
	Leaves   shape  // what it leaves at the target if it copies one platform
	Path     string
	Version  string
	Commands func(t tool, j job) (order, error)
}

// can reports whether the tool takes part in a workload.
func (t tool) can(w workload) bool {
	return slices.Contains(t.Does, w.Verb) && (t.Refers || !w.Signed) && (w.Wide || !t.Wide)
}

// known returns all tools, without their paths.
func known() []tool {
	moves := []verb{copyImage, copyPlatform, copyTags, copyRepos, retag}
	all := slices.Concat(moves, []verb{toFiles, fromFiles})
	images := []verb{copyImage, copyPlatform, retag, toFiles, fromFiles}
	trusts := []verb{copyImage, copyPlatform, fromFiles} // measured with oras 1.3.6 and one flipped byte
	return []tool{
		{Name: "dray", Peer: "dray", Does: all, Refers: true, Leaves: trimmed, Commands: drayCommands},
		{Name: "dray --sparse", Peer: "dray", Does: []verb{copyPlatform}, Leaves: sparse, Commands: drayCommands},
		{Name: "crane", Peer: "crane", Does: moves, Leaves: child, Commands: craneCommands},
		{Name: "crane -j32", Peer: "crane", Does: moves, Wide: true, Leaves: child, Commands: craneCommands},
		{Name: "regctl", Peer: "regctl", Does: moves, Refers: true, Leaves: sparse, Commands: regclientCommands},
		{Name: "regctl 32", Peer: "regctl", Does: moves, Refers: true, Wide: true, Leaves: sparse,
			Commands: regclientCommands},
		{Name: "skopeo", Peer: "skopeo", Does: all, Leaves: child, Commands: skopeoCommands},
		{Name: "skopeo oci", Peer: "skopeo", Does: []verb{toFiles, fromFiles}, Wide: true, Commands: skopeoCommands},
		{Name: "oras", Peer: "oras", Does: images, Trusts: trusts, Leaves: child, Commands: orasCommands},
		{Name: "oras 32", Peer: "oras", Does: images, Wide: true, Trusts: trusts, Leaves: child,
			Commands: orasCommands},
	}
}

// find returns the tools that are installed, and the names of those that are not.
func find(dray, dir string, only []string) (tools []tool, missing []string) {
	look := func(name string) string {
		if p := filepath.Join(dir, name); executable(p) {
			return p
		}
		p, _ := exec.LookPath(name)
		return p
	}
	for _, t := range known() {
		if t.Path = dray; t.Peer != "dray" {
			t.Path = look(t.Peer)
		}
		switch {
		case len(only) > 0 && t.Peer != "dray" && !slices.Contains(only, t.Peer):
		case !executable(t.Path) || t.Peer == "regctl" && look("regsync") == "":
			if !slices.Contains(missing, t.Peer) {
				missing = append(missing, t.Peer)
			}
		default:
			t.Version = version(t)
			tools = append(tools, t)
		}
	}
	return tools, missing
}

// install copies the programs to dir and runs the tools from there. A file that the linker has just
// written is in the page cache in small pages. A program starts 1 to 2 ms later from it than from a
// copied file, and installed programs are copied files.
func install(tools []tool, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, t := range tools {
		from, name := filepath.Split(t.Path)
		tools[i].Path = filepath.Join(dir, name)
		for _, p := range []string{name, "regsync"} {
			if p != name && (t.Peer != "regctl" || !executable(filepath.Join(from, p))) {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(from, p))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, p), raw, 0o700)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func executable(p string) bool {
	st, err := os.Stat(p)
	return err == nil && !st.IsDir() && st.Mode()&0o111 != 0
}

func version(t tool) string {
	arg := "version"
	if t.Peer == "skopeo" {
		arg = "--version"
	}
	out, _ := exec.Command(t.Path, arg).Output()
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "Version:"); ok && t.Peer == "oras" {
			return strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "VCSTag:"); ok && strings.TrimSpace(v) != "" {
			return strings.TrimSpace(v)
		}
		if t.Peer != "regctl" && line != "" {
			return strings.TrimPrefix(line, t.Peer+" ")
		}
	}
	return "?"
}

// drayCommands uses the defaults only. The flags tell dray what Azure's host names would tell it,
// and that the certificate must not be verified.
func drayCommands(t tool, j job) (order, error) {
	o := order{}
	var flags []string
	if j.TLS != [2]tlsMode{} {
		flags = append(flags, "--insecure")
	}
	text := ""
	if j.Bulk {
		text = fmt.Sprintf("registries:\n  src: {host: %q, kind: acr}\n  dst: {host: %q, kind: acr}\n",
			j.Hosts[0], j.Hosts[1])
	}
	if j.Signed {
		text += "referrers: sync\n"
	}
	if text != "" {
		file := filepath.Join(j.Dir, "dray.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return o, err
		}
		flags = append(flags, "--config", file)
	}
	run := func(args ...string) { o.Cmds = append(o.Cmds, append(append([]string{t.Path}, args...), flags...)) }
	switch j.Verb {
	case copyPlatform:
		flags = append(flags, "--platform", wantedPlatform.String())
		if t.Leaves == sparse {
			flags = append(flags, "--sparse")
		}
		fallthrough
	case copyImage:
		run(append([]string{"copy", j.src(0)}, j.dsts()...)...)
	case retag:
		run("tag", j.src(0), j.New)
	case toFiles, fromFiles:
		return drayBundle(t, j), nil
	case copyRepos:
		if knowsTransfer(t.Path) {
			run("transfer", j.Hosts[0], j.Hosts[1])
			break
		}
		fallthrough
	case copyTags:
		for i := range j.From {
			run("copy", "--all-tags", j.src(i), j.dst(i))
		}
	}
	return o, nil
}

func knowsTransfer(dray string) bool {
	out, _ := exec.Command(dray, "--help").Output()
	return strings.Contains(string(out), "\n  transfer ")
}

func craneCommands(t tool, j job) (order, error) {
	o := order{}
	flags := []string{"--insecure"}
	if t.Wide && j.Verb != retag {
		flags = append(flags, "-j", "32")
		o.Parallel = 8 // processes, if one process copies one repository
	}
	run := func(args ...string) { o.Cmds = append(o.Cmds, append(append([]string{t.Path}, args...), flags...)) }
	switch j.Verb {
	case copyPlatform:
		flags = append(flags, "--platform", wantedPlatform.String())
		fallthrough
	case copyImage:
		for _, dst := range j.dsts() {
			run("copy", j.src(0), dst)
		}
	case retag:
		run("tag", j.src(0), j.New)
	default:
		for i := range j.From {
			run("copy", "-a", j.src(i), j.dst(i))
		}
	}
	return o, nil
}

// regclientCommands uses regctl for images and regsync for repositories.
func regclientCommands(t tool, j job) (order, error) {
	concurrent := 0 // its default
	if t.Wide {
		concurrent = 32
	}
	type host struct {
		Registry   string `json:"registry,omitempty"`
		TLS        string `json:"tls"`
		Concurrent int    `json:"reqConcurrent,omitempty"`
	}
	hosts, creds := map[string]host{}, []host{}
	for i, h := range j.Hosts {
		mode := "disabled"
		if j.TLS[min(i, 1)] != plain {
			mode = "insecure"
		}
		if _, twice := hosts[h]; !twice {
			hosts[h] = host{TLS: mode, Concurrent: concurrent}
			creds = append(creds, host{h, mode, concurrent})
		}
	}
	if j.Verb == copyImage || j.Verb == copyPlatform || j.Verb == retag {
		file := filepath.Join(j.Dir, "regctl.json")
		from, to := j.src(0), []string{j.renamed()}
		if j.Verb != retag {
			to = j.dsts()
		}
		var flags []string
		if j.Verb == copyPlatform {
			flags = []string{"--platforms", wantedPlatform.String()}
		}
		o := order{Env: []string{"REGCTL_CONFIG=" + file}}
		if t.Wide {
			o.Parallel = 8
		}
		for _, dst := range to {
			o.Cmds = append(o.Cmds, append([]string{t.Path, "image", "copy", from, dst}, flags...))
		}
		return o, writeJSON(file, map[string]any{"hosts": hosts})
	}
	type entry struct {
		Source string `json:"source"`
		Target string `json:"target"`
		Type   string `json:"type"`

		Referrers  bool `json:"referrers,omitempty"`
		DigestTags bool `json:"digestTags,omitempty"`
	}
	var entries []entry
	for i := range j.From {
		entries = append(entries, entry{j.src(i), j.dst(i), "repository", j.Signed, j.Signed})
	}
	defaults := map[string]any{"skipDockerConfig": true}
	if t.Wide {
		defaults["parallel"] = 32
	}
	file := filepath.Join(j.Dir, "regsync.yaml") // JSON is YAML
	regsync := filepath.Join(filepath.Dir(t.Path), "regsync")
	if !executable(regsync) {
		regsync, _ = exec.LookPath("regsync")
	}
	return order{Cmds: [][]string{{regsync, "once", "-c", file, "-v", "error"}}},
		writeJSON(file, map[string]any{"version": 1, "creds": creds, "defaults": defaults, "sync": entries})
}

func writeJSON(file string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o600)
}

func skopeoCommands(t tool, j job) (order, error) {
	o := order{}
	flags := []string{"--src-tls-verify=false", "--dest-tls-verify=false"}
	run := func(args ...string) { o.Cmds = append(o.Cmds, slices.Concat([]string{t.Path}, args, flags)) }
	switch j.Verb {
	case copyPlatform:
		for _, dst := range j.dsts() {
			run("--override-os", wantedPlatform.OS, "--override-arch", wantedPlatform.Arch,
				"copy", "-q", "docker://"+j.src(0), "docker://"+dst)
		}
	case copyImage:
		for _, dst := range j.dsts() {
			run("copy", "-q", "--all", "docker://"+j.src(0), "docker://"+dst)
		}
	case retag:
		run("copy", "-q", "--all", "docker://"+j.src(0), "docker://"+j.renamed())
	case toFiles, fromFiles:
		if t.Wide {
			return skopeoLayout(t, j), nil
		}
		return skopeoDirectory(t, j)
	default:
		for i := range j.From {
			run("sync", "--src", "docker", "--dest", "docker", "--all", j.src(i), path.Dir(j.dst(i)))
		}
	}
	return o, nil
}

func orasCommands(t tool, j job) (order, error) {
	o := order{}
	flags := func(sides ...string) (all []string) {
		for i, s := range sides {
			if j.TLS[i] == plain {
				all = append(all, "--"+s+"plain-http")
			} else {
				all = append(all, "--"+s+"insecure")
			}
		}
		return all
	}
	both := append(flags("from-", "to-"), "--no-tty")
	if t.Wide {
		both, o.Parallel = append(both, "--concurrency", "32"), 8
	}
	switch j.Verb {
	case copyPlatform:
		both = append(both, "--platform", wantedPlatform.String())
		fallthrough
	case copyImage:
		for _, dst := range j.dsts() {
			o.Cmds = append(o.Cmds, slices.Concat([]string{t.Path, "cp", j.src(0), dst}, both))
		}
	case retag:
		o.Cmds = append(o.Cmds, slices.Concat([]string{t.Path, "tag", j.src(0), j.New}, flags("")))
	case toFiles, fromFiles:
		return orasBackup(t, j), nil
	}
	return o, nil
}

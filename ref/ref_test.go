package ref

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/drayage/dray/fault"
)

const hex64 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestParseGivesFullyQualifiedNames(t *testing.T) {
	for in, want := range map[string]string{
		"nginx":                                   "docker.io/library/nginx",
		"nginx:1.25":                              "docker.io/library/nginx:1.25",
		"docker.io/nginx":                         "docker.io/library/nginx",
		"grafana/grafana:latest":                  "docker.io/grafana/grafana:latest",
		"index.docker.io/library/nginx:1":         "docker.io/library/nginx:1",
		"registry-1.docker.io/library/n":          "docker.io/library/n",
		"localhost/app":                           "localhost/app",
		"localhost:5000/a/b:v1":                   "localhost:5000/a/b:v1",
		"Reg.Example.com/app":                     "reg.example.com/app",
		"[::1]:5000/app:v1":                       "[::1]:5000/app:v1",
		"a.io/x:v1@sha256:" + hex64:               "a.io/x:v1@sha256:" + hex64,
		"oci:out:v1":                              "oci:out:v1",
		"oci:./out//x":                            "oci:out/x",
		"oci:/tmp/a b@sha256:" + hex64:            "oci:/tmp/a b@sha256:" + hex64,
		`oci:C:\images\app:v1`:                    `oci:C:\images\app:v1`,
		"oci:out:docker.io/library/nginx:1.27":    "oci:out:docker.io/library/nginx:1.27",
		"oci:out:localhost:5000/app":              "oci:out:localhost:5000/app",
		"oci:out:app:":                            "oci:out:app:",
		"oci:out:app:v1":                          "oci:out:app:v1",
		"oci:out:app:@sha256:" + hex64:            "oci:out:app:@sha256:" + hex64,
		"oci:///abs/out:a.io/b:v1":                "oci:/abs/out:a.io/b:v1",
		`oci:c:/images:a.io/b:v1@sha256:` + hex64: `oci:c:/images:a.io/b:v1@sha256:` + hex64,
		"a.io/x@sha512:" + hex64 + hex64:          "a.io/x@sha512:" + hex64 + hex64,
		"a.io/a__b-c---d.e/f:_V.1-x":              "a.io/a__b-c---d.e/f:_V.1-x",
		"127.0.0.1:5000/x:" + rep("t", 128):       "127.0.0.1:5000/x:" + rep("t", 128),
		"xn--bcher-kva.example:443/app:1.0":       "xn--bcher-kva.example:443/app:1.0",
		"mcr.microsoft.com/dotnet/sdk:8.0":        "mcr.microsoft.com/dotnet/sdk:8.0",
		"dev.azurecr.io/myapp:20261120.1":         "dev.azurecr.io/myapp:20261120.1",
		"registry.hub.docker.com/library/ub":      "docker.io/library/ub",
	} {
		n, err := Parse(in)
		if err != nil || n.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, n, err, want)
			continue
		}
		if again, err := Parse(n.String()); err != nil || again != n {
			t.Errorf("%q does not read back: %v, %v", n, again, err)
		}
	}
}

func TestALayoutHasManyRepositoriesIfItsNamesAreWholeReferences(t *testing.T) {
	for in, want := range map[string]Name{
		"oci:out":                              {Repo: Repo{Host: Layout, Dir: "out"}},
		"oci:out:1.27":                         {Repo: Repo{Host: Layout, Dir: "out"}, Tag: "1.27"},
		"oci:out:docker.io/library/nginx:1.27": {Repo: Repo{Host: Layout, Dir: "out", Path: "docker.io/library/nginx"}, Tag: "1.27"},
		"oci:out:library/nginx":                {Repo: Repo{Host: Layout, Dir: "out", Path: "library/nginx"}},
		"oci:out:index.docker.io/a:1":          {Repo: Repo{Host: Layout, Dir: "out", Path: "index.docker.io/a"}, Tag: "1"},
		"oci:out:localhost:5000/app":           {Repo: Repo{Host: Layout, Dir: "out", Path: "localhost:5000/app"}},
		"oci:out:app:v1":                       {Repo: Repo{Host: Layout, Dir: "out", Path: "app"}, Tag: "v1"},
		"oci:out:app:":                         {Repo: Repo{Host: Layout, Dir: "out", Path: "app"}},
		"oci:///abs:a/b:v1@sha256:" + hex64:    {Repo: Repo{Host: Layout, Dir: "/abs", Path: "a/b"}, Tag: "v1", Digest: "sha256:" + hex64},
		`oci:D:\x:a.io/b:v1`:                   {Repo: Repo{Host: Layout, Dir: `D:\x`, Path: "a.io/b"}, Tag: "v1"},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		var again Name
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != want {
			t.Errorf("%q does not read back: %+v, %v", got, again, err)
		}
	}
}

func TestNamesInOneDirectoryAreOrderedByRepository(t *testing.T) {
	one, two := Repo{Host: Layout, Dir: "a"}, Repo{Host: Layout, Dir: "b"}
	names := []Name{one.Tagged("v2"), one.In("x").Tagged("v1"), one.In("y").Tagged("v0"), two.Tagged("v1")}
	for i := range names {
		for j := range names {
			if got := names[i].Compare(names[j]); got != cmp.Compare(i, j) {
				t.Errorf("%s and %s: %d", names[i], names[j], got)
			}
		}
	}
}

func rep(s string, n int) string { return strings.Repeat(s, n) }

// F-33: Parse must refuse every text that a registry could read as another path.
func TestParseRefusesWhatCouldBeReadDifferently(t *testing.T) {
	for _, in := range []string{
		"", "/", "a.io/", "a.io/x:", "a.io/x@", "a.io/r/../x:v1", "a.io/r//x", "a.io/r/./x", "a.io/%2e%2e/x", "a.io/r%2fx",
		"a.io/X", "a.io/x@sha256:abc", "a.io/x@sha256:" + strings.ToUpper(hex64), "a.io/x@md5:" + hex64[:32], "a.io/x:v 1",
		"a.io/x:" + rep("t", 129), "a.io/" + rep("r", 260), "a.io/x\r\nHost: y", "a.io/x\x00", "a.io:0/x", "a.io:99999/x", "a.io:/x",
		"a..io/x", "-a.io/x", "a.io/-x", "a.io/x-", "http://a.io/x", "user:pw@a.io/x", "a.io/ünï:v1", "[::1/x", "a.io/x:v1:v2", "oci:", "oci::v1", "oci:dir:b@d",
		"oci:dir:", "oci:dir:a:b:c", "oci:dir:a.io/X:v1", "oci:dir:A.io/x:v1", "oci:dir:a.io:0/x:v1", "oci:dir:/x:v1", "oci:dir:a/b:", "oci:dir:a/../b:v1", "oci:dir:a/b:-v", "oci:a\x00b",
	} {
		if n, err := Parse(in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Parse(%q) = %q, %v; want fault.Invalid", in, n, err)
		}
	}
}

func TestParseErrorsNameTheInputAndWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"a.io/App:v1":                `parse name a.io/App:v1: invalid: repository names are lower case`,
		"a.io/x@sha256:12":           `parse name a.io/x@sha256:12: invalid: not a digest: "sha256:12"`,
		"a.io:99999/x":               `parse name a.io:99999/x: invalid: not a port: "99999"`,
		"https://a.io/x":             `parse name https://a.io/x: invalid: a name cannot begin with a scheme`,
		"a.io/x:v1\t":                `parse name "a.io/x:v1\t": invalid: not a tag`,
		"a.io/x:-v":                  `parse name a.io/x:-v: invalid: not a tag`,
		"oci:dir:!":                  `parse name oci:dir:!: invalid: not a tag`,
		"a.io/x@1.27":                `parse name a.io/x@1.27: invalid: not a digest: "1.27"`,
		"me:canary-7f3a91@a.io/x:v1": `parse name a.io/x:v1: invalid: a name cannot contain credentials`,
		"me:canary-7f3a91@a.io":      `parse name a.io: invalid: a name cannot contain credentials`,
		"me:canary-7f3a91@a.io:5000": `parse name a.io:5000: invalid: a name cannot contain credentials`,
		"me:se@cret@a.io/x":          `parse name a.io/x: invalid: a name cannot contain credentials`,
		"https://secret@a.io":        `parse name a.io: invalid: a name cannot contain credentials`,
	} {
		if _, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v\nwant %s", in, err, want)
		}
	}
}

func TestLoopbackIsRecognised(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:5000": true, "127.0.0.1:5000": true, "127.9.9.9": true, "[::1]:80": true, "x.localhost": true,
		"10.0.0.1": false, "localhost.example.com": false, "docker.io": false, "127.0.0.1.example.com": false,
	} {
		if IsLoopback(host) != want {
			t.Errorf("IsLoopback(%q) = %v", host, !want)
		}
	}
}

func TestParseInTakesNoComponentForAHost(t *testing.T) {
	n, err := ParseIn("r.azurecr.io", "docker.io/library/nginx:1")
	if err != nil || n.String() != "r.azurecr.io/docker.io/library/nginx:1" {
		t.Errorf("%v, %v", n, err)
	}
}

// distribution/reference is the oracle: it must accept every name that Parse accepts, and read the
// same host and path.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"nginx", "a.io/x:v1@sha256:" + hex64, "localhost:5000/a/b", "[::1]:5000/x", "a.io/a__b---c", "A.io/x", "x@y", "a.io:1/z:_", "oci:a:b/c:v1", "oci:a:b:", "oci:c:/x:y", "oci:A:/", "docker-archive:-:nginx:1", "oci-archive:a@b/c:v1", "dir:a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("Parse(%q): %v is not Invalid", s, err)
			}
			return
		}
		again, err := Parse(n.String())
		if err != nil || again != n {
			t.Fatalf("%q -> %q does not read back: %v, %v", s, n, again, err)
		}
		if n.IsLayout() {
			return
		}
		theirs, err := reference.ParseNormalizedNamed(n.String())
		if err != nil {
			t.Fatalf("we accept %q as %q, the reference grammar does not: %v", s, n, err)
		}
		if reference.Domain(theirs) != n.Host || reference.Path(theirs) != n.Path {
			t.Fatalf("%q: host %q path %q, the reference grammar says %q %q", s, n.Host, n.Path, reference.Domain(theirs), reference.Path(theirs))
		}
	})
}

func TestARegistryMayBeWrittenAsOtherToolsWriteIt(t *testing.T) {
	for in, want := range map[string]string{
		"docker://a.io/x:v1": "a.io/x:v1", "docker://nginx": "docker.io/library/nginx", "docker://localhost:5000/x@sha256:" + hex64: "localhost:5000/x@sha256:" + hex64,
		"oci://a.io/charts/x:1.2.3": "a.io/charts/x:1.2.3", "oci://localhost/x": "localhost/x", "oci://localhost:5000/x": "localhost:5000/x", "oci://A.io/x": "a.io/x",
		"docker-archive:/tmp/my app.tar:nginx:1": "docker-archive:/tmp/my app.tar:docker.io/library/nginx:1", "docker-archive:a.tar:a.io/x:v1": "docker-archive:a.tar:a.io/x:v1",
		"docker-archive:-": "docker-archive:-", "oci-archive:./x.tar:v1": "oci-archive:x.tar:v1", "oci-archive:mod@v1.2/x.tar": "oci-archive:mod@v1.2/x.tar", "dir:./x": "dir:x", "dir:///x": "dir:/x",
		"oci-archive:x.tar@sha256:" + hex64: "oci-archive:x.tar@sha256:" + hex64,
		"oci:///media/stick:v1":             "oci:/media/stick:v1", "oci:a.io/x": "oci:a.io/x", "dir:5000/x": "dir:5000/x", "docker:20-dind": "docker.io/library/docker:20-dind", "registry:2": "docker.io/library/registry:2",
	} {
		n, err := Parse(in)
		if err != nil || n.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, n, err, want)
		}
	}
}

// What looks like a transport is never an image of Docker Hub and never a directory.
func TestATransportThatDrayDoesNotHaveIsNoName(t *testing.T) {
	for in, want := range map[string]string{
		"oci://stick":                      "write oci:stick for a directory, or HOST/REPOSITORY for a registry",
		"oci://stick/x:v1":                 "write oci:stick/x:v1 for a directory",
		"oci://":                           "no host follows oci://",
		"docker-archive:":                  "write docker-archive:FILE[:TAG|@DIGEST], or docker-archive:- for a pipe",
		"docker-archive:app.tar:App:v1":    "not a tag and not a whole reference",
		"oci-archive:app.tar:":             "not a tag",
		"oci-archive://app.tar":            "write oci-archive:app.tar",
		"docker-daemon:app:v1":             "docker save app:v1 | dray copy docker-archive:- TARGET",
		"containers-storage:localhost/app": "dray copy SOURCE docker-archive:- | podman load",
		"docker-tar:app.tar":               "write docker-archive:app.tar",
		"dir:app:v1":                       "holds one image, without a name",
		"dir://tmp":                        "write dir:tmp",
		"ocidir://stick:v1":                "write oci:stick:v1",
		"oci-layout:stick":                 "write oci:stick",
		"s3://bucket/app":                  "has no transport s3://",
		"docker://docker://a.io/x":         "has no transport docker://",
		"file:./app.tar":                   "has no transport file:",
		"file:app":                         "write oci-archive:app or docker-archive:app for an archive, oci:app or dir:app for a directory",
		"tar:app.tar":                      "write oci-archive:app.tar or docker-archive:app.tar for an archive",
		"docker-daemon://app:v1":           "docker save app:v1 |",
		"containers-storage:[o@/v+/r]a":    "podman save a |",
		"containerd:a.io/x:v1":             "ctr images export - a.io/x:v1 | dray copy oci-archive:- TARGET",
		"ostree:app@/repo":                 "skopeo copy ostree:app@/repo docker-archive:/dev/stdout | dray copy docker-archive:- TARGET",
		"sif:app.sif":                      "as a target, run dray copy SOURCE docker-archive:FILE && apptainer build app.sif docker-archive:FILE",
		"podman:":                          "podman save IMAGE |",
		"openshift:a.io/x":                 "write the registry as HOST/REPOSITORY[:TAG]",
		"OCI:stick:v1":                     "write oci:stick:v1",
		"Docker-Archive:/app.tar":          "write docker-archive:/app.tar",
		"DOCKER://a.io/x":                  "write docker://a.io/x",
		"HTTPS://a.io/x":                   "write https://a.io/x",
		"oci://./stick:v1":                 "write oci:./stick:v1",
		"oci://../stick":                   "write oci:../stick",
		"./app.tar":                        "write oci-archive:./app.tar or docker-archive:./app.tar for an archive",
		"/srv/app":                         "oci:/srv/app or dir:/srv/app for a directory",
		"app.tar.zst":                      "write oci-archive:app.tar.zst",
		"dir:":                             "write dir:DIR",
		"dir:-":                            "write oci-archive:- for a pipe",
		"oci:-:v1":                         "write oci-archive:- for a pipe",
		"oci-archive:app.tar:A:b":          "write oci-archive:FILE:TAG, or oci-archive:FILE:HOST/REPOSITORY:TAG",
	} {
		n, err := Parse(in)
		if f, ok := errors.AsType[*fault.Fault](err); !ok || f.Kind != fault.Invalid || !strings.Contains(err.Error()+" "+f.Hint, want) {
			t.Errorf("%s: %s, %v (%s); want %s", in, n, err, fault.HintOf(err), want)
		}
	}
}

// Words that are repositories of Docker Hub, and hosts, stay what they are.
func TestAWordThatIsNoTransportIsAName(t *testing.T) {
	for in, want := range map[string]string{
		"docker:dind": "docker.io/library/docker:dind", "archive:v1": "docker.io/library/archive:v1", "tar:v1": "docker.io/library/tar:v1",
		"a.io/app:x.tar": "a.io/app:x.tar", "app:x.tar": "docker.io/library/app:x.tar", "OCI:5000/x": "oci:5000/x", "file:5000/x": "file:5000/x",
	} {
		if n, err := Parse(in); err != nil || n.String() != want {
			t.Errorf("%s: %s, %v", in, n, err)
		}
	}
	for _, in := range []string{"oci-archive:x", "dir:x", "oci:x"} {
		if _, err := Host(in); err == nil || !strings.Contains(err.Error(), "this names a file or a directory, and no registry") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestANameInAFileBeginsWithItsHost(t *testing.T) {
	for s, want := range map[string]string{
		"docker.io/prdo/app:v1": "docker.io/prdo/app:v1", "localhost/app": "localhost/app", "reg:5000/app:v1": "reg:5000/app:v1", "oci:dir:v1": "oci:dir:v1",
		"prdo/app:v1": "", "nginx": "", "redis:7": "", "quay.io": "",
	} {
		var n Name
		err := n.UnmarshalText([]byte(s))
		if want == "" && (!fault.Is(err, fault.Invalid) || n != Name{}) || want != "" && (err != nil || n.String() != want) {
			t.Errorf("%s: %v, %v, want %q", s, n, err, want)
		}
	}
}

// A directory of skopeo holds one image without a name, whatever tags the image had.
func TestANameInADirectoryOfSkopeoIsReadAgain(t *testing.T) {
	for _, n := range []Name{
		{Repo: Repo{Host: Directory, Dir: "x"}, Tag: "v1"},
		{Repo: Repo{Host: Directory, Dir: "x"}, Tag: "v1", Digest: "sha256:" + hex64},
		{Repo: Repo{Host: Directory, Dir: "x"}},
	} {
		again, err := Parse(n.String())
		if err != nil || again.Repo != n.Repo || again.Digest != n.Digest || again.Tag != "" {
			t.Errorf("%+v is written as %s: %+v, %v", n, n, again, err)
		}
	}
}

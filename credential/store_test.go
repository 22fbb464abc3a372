package credential

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASavedLoginIsFoundAndTheRestOfTheFileKeepsItsBytes(t *testing.T) {
	b := newBox(t)
	before := "{\n\t\"HttpHeaders\": {\"User-Agent\":  \"x<&>\", \"n\": 12345678901234567890},\n\t\"auths\": {\n\t\t" +
		"\"https://other.example/v1/\": {\"email\":\"e\",  \"auth\":\"" + b64("o:p") + "\"}\n\t},\n\t\"currentContext\": \"default\"\n}\n"
	path := b.write(before, ".docker", "config.json")
	where, err := b.files.Save(t.Context(), "REG.example:5000", Login{User: "u", Password: New(canary)})
	if want := (Place{"docker config " + filepath.Join("~", ".docker", "config.json"), true}); where != want || err != nil {
		t.Fatal(where, err)
	}
	want := strings.Replace(before, "\n\t},\n\t\"current", ",\n\t\t\"reg.example:5000\": {\"auth\":\""+b64("u:"+canary)+"\"}\n\t},\n\t\"current", 1)
	if got := read(t, path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := b.login("reg.example:5000/a"); got.User != "u" || got.Password.Reveal() != canary {
		t.Error(got)
	}
	from, removed, err := b.files.Erase(t.Context(), "reg.example:5000")
	if from != where || !removed || err != nil || read(t, path) != before {
		t.Error(from, removed, err, read(t, path))
	}
	if _, removed, err = b.files.Erase(t.Context(), "reg.example:5000"); removed || err != nil {
		t.Error("the login was removed twice", err)
	}
}

func TestANewFileIsPrivateAndALinkIsFollowed(t *testing.T) {
	b := newBox(t)
	path := filepath.Join(b.files.Home, ".docker", "config.json")
	l := Login{User: "u", Password: New("p")}
	mode := func(path string) string {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().String()
	}
	if _, err := b.files.Save(t.Context(), "reg.example", l); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && (mode(path) != "-rw-------" || mode(filepath.Dir(path)) != "drwx------") {
		t.Error(mode(path), mode(filepath.Dir(path)))
	}
	dotfile := b.write("{}", "dotfiles", "docker.json")
	if err := os.Chmod(dotfile, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	if err := os.Symlink(dotfile, path); err != nil {
		t.Fatal(err)
	}
	if _, err := b.files.Save(t.Context(), "reg.example", l); err != nil {
		t.Fatal(err)
	}
	if mode(path)[0] != 'L' || mode(dotfile) != "-rw-------" || !strings.Contains(read(t, dotfile), "reg.example") {
		t.Error(mode(path), mode(dotfile), read(t, dotfile))
	}
	os.Remove(dotfile)
	if _, err := b.files.Save(t.Context(), "reg.example", l); !fault.Is(err, fault.Unavailable) {
		t.Error("a link to a file that does not exist was replaced:", err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.files.Home, "*", ".dray-login-*")); left != nil {
		t.Error("files were left behind:", left)
	}
}

func TestAMalformedFileIsNotOverwritten(t *testing.T) {
	b := newBox(t)
	path := b.write(`{"auths": `, ".docker", "config.json")
	_, err := b.files.Save(t.Context(), "reg.example", Login{User: "u", Password: New("p")})
	if !fault.Is(err, fault.Invalid) || read(t, path) != `{"auths": ` {
		t.Error(err, read(t, path))
	}
	_, _, err = b.files.Erase(t.Context(), "reg.example")
	if !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	for _, host := range []string{"", "http://reg.example", "reg.example/team"} {
		if _, err := b.files.Save(t.Context(), host, Login{User: "u", Password: New("p")}); !fault.Is(err, fault.Invalid) {
			t.Error(host, err)
		}
	}
	if _, err := (Files{}).Save(t.Context(), "reg.example", Login{User: "u", Password: New("p")}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestErasingAHostLeavesThePathsBelowIt(t *testing.T) {
	b := newBox(t)
	b.vars["REGISTRY_AUTH_FILE"] = b.write(auths(auth("reg.example", "u:p"), auth("https://reg.example/v1/", "u:p"), auth("reg.example/team", "team:p")), "auth.json")
	if _, removed, err := b.files.Erase(t.Context(), "reg.example"); !removed || err != nil {
		t.Fatal(removed, err)
	}
	if a, c := b.login("reg.example/x"), b.login("reg.example/team/x"); a != (Login{}) || c.User != "team" {
		t.Error(a, c)
	}
}

// tool runs a container tool with the home directory and the variables of the box.
func (b *box) tool(name string, args ...string) string {
	b.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		b.t.Skip("needs " + name + " on PATH")
	}
	if b.vars["XDG_RUNTIME_DIR"] == "" {
		b.vars["XDG_RUNTIME_DIR"] = b.t.TempDir() // otherwise the tool reads the logins of this machine
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"HOME=" + b.files.Home, "PATH=" + os.Getenv("PATH")}
	for k, v := range b.vars {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// locked starts a registry that accepts only the login u:p. It counts the requests with this login.
func locked(t *testing.T) (host string, welcomed *int) {
	t.Helper()
	welcomed = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if u, p, ok := r.BasicAuth(); !ok || u != "u" || p != "p:q" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		*welcomed++
		fmt.Fprint(w, `{"name":"team/app","tags":["v1"]}`)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), welcomed
}

func TestSkopeoUsesTheLoginThatWeSaved(t *testing.T) {
	for _, explicit := range []string{"", "auth.json"} {
		b := newBox(t)
		host, welcomed := locked(t)
		if explicit != "" {
			b.vars["REGISTRY_AUTH_FILE"] = filepath.Join(b.files.Home, explicit)
		}
		if _, err := b.files.Save(t.Context(), host, Login{User: "u", Password: New("p:q")}); err != nil {
			t.Fatal(err)
		}
		out := b.tool("skopeo", "list-tags", "--tls-verify=false", "docker://"+host+"/team/app")
		if !strings.Contains(out, `"v1"`) || *welcomed == 0 {
			t.Error(out)
		}
		if explicit == "" {
			continue // skopeo logout does not change docker's configuration
		}
		if b.tool("skopeo", "logout", host); b.login(host+"/team/app") != (Login{}) {
			t.Error("skopeo did not find our entry to remove it")
		}
	}
}

func TestWeReadTheLoginThatSkopeoSaved(t *testing.T) {
	b := newBox(t)
	host, _ := locked(t)
	b.tool("skopeo", "login", "--tls-verify=false", "-u", "u", "-p", "p:q", host)
	if got := b.login(host + "/team/app"); got.User != "u" || got.Password.Reveal() != "p:q" {
		t.Error(got)
	}
	b.vars["REGISTRY_AUTH_FILE"] = filepath.Join(b.files.Home, "auth.json")
	b.tool("skopeo", "login", "--tls-verify=false", "-u", "u", "-p", "p:q", host)
	if _, removed, err := b.files.Erase(t.Context(), host); !removed || err != nil {
		t.Error(removed, err)
	}
}

func TestDockerFindsTheLoginThatWeSaved(t *testing.T) {
	b := newBox(t)
	for _, host := range []string{"docker.io", "reg.example:5000"} {
		if _, err := b.files.Save(t.Context(), host, Login{User: "u", Password: New("p")}); err != nil {
			t.Fatal(err)
		}
	}
	b.tool("docker", "logout")
	b.tool("docker", "logout", "reg.example:5000")
	for _, name := range []string{"nginx", "reg.example:5000/a"} {
		if got := b.login(name); got != (Login{}) {
			t.Errorf("docker did not find our entry for %s to remove it: %v", name, got)
		}
	}
}

func TestALinkThatAnotherUserMadeIsNotWrittenThrough(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a link to another user")
	}
	b := newBox(t)
	link := b.write("{}", ".docker", "config.json")
	victim := link + "2"
	if err := errors.Join(os.Rename(link, victim), os.Symlink(victim, link), os.Lchown(link, 54321, 54321)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.files.Save(t.Context(), "reg.example", Login{User: "u", Password: New("p")}); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	if got := read(t, victim); got != "{}" {
		t.Error(got)
	}
}

package name

import (
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

// aliased is a Reader with aliases, among them the login server of an Azure registry.
func aliased(t *testing.T) *Reader {
	t.Helper()
	r := configured(t, "")
	r.Hosts["edge"] = "localhost:6002"
	r.Hosts["rand"] = "localhost:6002"
	r.Hosts["myacr.azurecr.io"] = "localhost:6002"
	return r
}

func TestATargetIsNeverAtAStrangerBecauseOfATypingError(t *testing.T) {
	for s, hint := range map[string]string{
		"prdo/app:v1":     "write prod/app:v1, or docker.io/prdo/app:v1 for Docker Hub",
		"team/app:v1":     "write docker.io/team/app:v1 for Docker Hub",
		"prdo/team/":      "write prod/team/",
		"team/x/":         "write docker.io/team/x/ for Docker Hub",
		"prod/app/":       "leave the slash off the end",
		"a.io/app/":       "leave the slash off the end",
		"app:v1":          "write HOST/app:v1 with the host or the name of a registry, or docker.io/library/app:v1 for Docker Hub",
		"prdo":            "write prod/REPOSITORY, or HOST/prdo with the host or the name of a registry, or docker.io/library/prdo for Docker Hub",
		"prod":            "write prod/REPOSITORY[:TAG]",
		"prod:v1":         "write prod/REPOSITORY[:TAG]",
		"a.io":            "write a.io/REPOSITORY[:TAG]",
		"a.io:5000":       "write a.io:5000/REPOSITORY[:TAG]",
		"localhost:5000":  "write localhost:5000/REPOSITORY[:TAG]",
		"PROD/app:v1":     "write prod/app:v1, or begin with the host or the name of a registry",
		"Prod/App:V1":     "write prod/app:V1, or begin with the host or the name of a registry",
		"Prdo/app:v1":     "write prod/app:v1, or begin with the host or the name of a registry",
		"https://prdo/ap": "write prod/ap, or docker.io/prdo/ap for Docker Hub",
	} {
		r := configured(t, "")
		n, err := r.Parse(s, fault.Target)
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "target: parse name "+s+": ") || fault.HintOf(err) != hint {
			t.Errorf("%s: %v, %v, hint %q; want hint %q", s, n, err, fault.HintOf(err), hint)
		}
	}
	for s, want := range map[string]string{
		"docker.io/prdo/app:v1": "docker.io/prdo/app:v1", "prod/app": "prod.example.com:5000/app", "oci:prdo/app": "oci:prdo/app",
		"produ.azurecr.io/app": "produ.azurecr.io/app", "http://localhost:5000/app": "localhost:5000/app", "https://prod/app": "prod.example.com:5000/app",
	} {
		if n, err := configured(t, "").Parse(s, fault.Target); err != nil || n.String() != want {
			t.Errorf("%s: %v, %v", s, n, err)
		}
	}
	r := configured(t, "")
	r.Hosts, r.Missing = nil, "/home/me/.config/dray/config.yaml"
	_, err := r.Parse("prod/app:v1", fault.Target)
	if hint := fault.HintOf(err); !strings.HasSuffix(hint, "; no configuration file was found at /home/me/.config/dray/config.yaml") {
		t.Errorf("hint %q", hint)
	}
}

func TestAShortSourceThatMayBeMeantForAnotherRegistryGetsANote(t *testing.T) {
	for _, tt := range []struct{ s, missing, note string }{
		{"prdo/app:v1", "", `prdo/app:v1 is read as docker.io/prdo/app:v1, although "prdo" resembles the configured registry "prod"`},
		{"grafana/loki:3", "", ""},
		{"library/nginx", "", ""},
		{"nginx:1.27", "", ""},
		{"docker.io/prdo/app", "", ""},
		{"prodmirror/app", "", ""},
		{"team/app", "c.yaml", "team/app is read as docker.io/team/app: no configuration file was found at c.yaml"},
		{"library/nginx", "c.yaml", ""},
		{"nginx", "c.yaml", ""},
	} {
		for _, side := range []fault.Side{fault.Source, ""} {
			r, notes := noted(configured(t, ""))
			r.Missing = tt.missing
			for range 2 { // one note is enough
				if _, err := r.Parse(tt.s, side); err != nil {
					t.Error(err)
				}
			}
			if strings.Join(*notes, "|") != tt.note {
				t.Errorf("%s: notes %q, want %q", tt.s, *notes, tt.note)
			}
		}
	}
}

func TestAWordIsARegistryOrAShortNameAndNeverBoth(t *testing.T) {
	for s, want := range map[string]string{
		"nginx": "docker.io/library/nginx", "redis:7": "docker.io/library/redis:7", "nginx:1.27": "docker.io/library/nginx:1.27",
		"prod": "this names a registry", "prod:v1": "this names a registry", "quay.io": "this names a registry", "localhost": "this names a registry",
		"localhost:5000": "this names a registry", "a.io:5000": "this names a registry", "my.image:v1": "this names a registry",
		"[::1]:5000": "this names a registry", "nginx/": "neither a configured registry nor a host",
	} {
		n, err := configured(t, "").Parse(s, fault.Source)
		got := n.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"prod": "prod.example.com:5000", "quay.io": "quay.io", "registry:5000": "registry:5000", "localhost": "localhost",
		"nginx": "neither a configured registry nor a host", "nginx:1.27": "neither a configured registry nor a host", "prdo": "neither a configured registry nor a host",
	} {
		for _, side := range []fault.Side{fault.Source, fault.Target} {
			e, err := configured(t, "").End(s, side)
			got := e.Host
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, want) || err != nil && !strings.HasPrefix(got, string(side)+": ") {
				t.Errorf("%s %s: %s, want %s", side, s, got, want)
			}
		}
	}
	for _, tt := range []struct {
		s    string
		side fault.Side
		hint string
	}{
		{"prdo", fault.Source, "write prod, or HOST or HOST:PORT"},
		{"prdo", fault.Target, "write prod, or HOST or HOST:PORT"},
		{"busybox", fault.Source, "write docker.io/library/busybox for Docker Hub"},
		{"busybox", fault.Target, "write HOST or HOST:PORT"},
		{"prdo/team/", fault.Source, "write prod/team/"},
		{"prdo/team/", fault.Target, "write prod/team/"},
	} {
		if _, err := configured(t, "").End(tt.s, tt.side); fault.HintOf(err) != tt.hint {
			t.Errorf("%s %s: hint %q, want %q", tt.side, tt.s, fault.HintOf(err), tt.hint)
		}
	}
	for s, hint := range map[string]string{
		"prod": "write prod/REPOSITORY[:TAG]", "prod:7": "write prod/REPOSITORY[:TAG], or docker.io/library/prod:7 for Docker Hub",
	} {
		if _, err := configured(t, "").Parse(s, fault.Source); fault.HintOf(err) != hint {
			t.Errorf("%s: hint %q, want %q", s, fault.HintOf(err), hint)
		}
	}
	for s, want := range map[string]string{
		"prod/a_:b/c": "target: parse name prod/a_:b/c: invalid: not a repository name", "prod/app:-x": `target: parse name prod/app:-x: invalid: not a tag`,
	} {
		if _, err := configured(t, "").Parse(s, fault.Target); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want the name as it was written", s, err)
		}
	}
	for s, want := range map[string]string{"prod": "prod.example.com:5000", "prdo": "write prod, or HOST or HOST:PORT", "registry": "write HOST or HOST:PORT", "registry:443": "registry:443"} {
		got, err := configured(t, "").Host(s)
		if err != nil {
			got = fault.HintOf(err)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

func TestTheNameOfAnAzureRegistryIsRefusedIfItResemblesAConfiguredOne(t *testing.T) {
	for _, name := range []string{"produ", "Produ", "acmecoe"} {
		if host, err := configured(t, "").RegistryHost(name, fault.Target); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %s, %v", name, host, err)
		}
	}
	_, err := configured(t, "").RegistryHost("produ", fault.Target)
	if err.Error() != `target: find registry produ: invalid: it is not configured, and "produ" resembles the configured registry "prod"` ||
		fault.HintOf(err) != "write prod, or produ.azurecr.io for the registry in Azure" {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
	for name, note := range map[string]string{
		"myregistry": "myregistry is read as myregistry.azurecr.io: no registry of this name is configured",
		"prodmirror": "prodmirror is read as prodmirror.azurecr.io: no registry of this name is configured",
		"acmeco":     "", "ACMECO": "", "produ.azurecr.io": "", "acmeco.azurecr.io": "",
	} {
		r, notes := noted(configured(t, ""))
		if _, err := r.RegistryHost(name, fault.Target); err != nil || strings.Join(*notes, "|") != note {
			t.Errorf("%s: %v, notes %q, want %q", name, err, *notes, note)
		}
	}
}

func idOf(registry string) string { return strings.TrimSuffix(resourceID, "Acmeco") + registry }

func TestARegistryInAnotherCaseIsRefusedWithItsNameProposed(t *testing.T) {
	r := configured(t, "")
	r.Hosts["myacr"], r.Hosts["Stage"] = "localhost:6002", "stage.example.com"
	for name, hint := range map[string]string{
		"PROD": "write prod, or the host of another registry", "MyAcr": "write myacr, or myacr.azurecr.io for the registry in Azure",
		"stage": "write Stage, or stage.azurecr.io for the registry in Azure", "STAGE": "write Stage, or stage.azurecr.io for the registry in Azure",
	} {
		if host, err := r.RegistryHost(name, fault.Source); !fault.Is(err, fault.Invalid) || fault.HintOf(err) != hint {
			t.Errorf("%s: %s, %v, hint %q; want hint %q", name, host, err, fault.HintOf(err), hint)
		}
	}
	if _, err := r.Parse("stage/app", fault.Target); fault.HintOf(err) != "write Stage/app, or docker.io/stage/app for Docker Hub" {
		t.Errorf("hint %q", fault.HintOf(err))
	}
	r.Hosts["other"] = "myacr.azurecr.io"
	if host, err := r.RegistryHost("MyAcr", fault.Source); !fault.Is(err, fault.Invalid) {
		t.Errorf("%s, %v; want an error, because it may be myacr or other", host, err)
	}
}

func TestAResourceIDMeansTheConfiguredRegistryThatHasItsLoginServer(t *testing.T) {
	for _, tt := range []struct {
		about string
		hosts map[string]string
		want  string
	}{
		{"another cloud", map[string]string{"x": "myacr.azurecr.cn"}, "myacr.azurecr.cn"},
		{"a domain name label", map[string]string{"x": "myacr-a1b2.azurecr.io", "y": "myacr-a1b2.azurecr.io"}, "myacr-a1b2.azurecr.io"},
		{"two that may be meant", map[string]string{"x": "myacr-a1b2.azurecr.io", "y": "myacr-c3d4.azurecr.io"}, "myacr.azurecr.io"},
		{"another registry, and another product", map[string]string{"x": "myacrs.azurecr.io", "y": "myacr.example"}, "myacr.azurecr.io"},
	} {
		r := configured(t, "")
		r.Hosts = tt.hosts
		if got, err := r.RegistryHost(idOf("MyAcr"), ""); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.about, got, err, tt.want)
		}
	}
}

func TestAResourceIDOfAnythingButARegistryIsRefused(t *testing.T) {
	for _, id := range []string{idOf(""), idOf("a.b"), idOf("a:5"), idOf("a b"), idOf("a-b"), idOf("a/b"), "/", "/x"} {
		if host, err := configured(t, "").RegistryHost(id, ""); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "subscriptions/0") {
			t.Errorf("%s: %s, %v", id, host, err)
		}
	}
}

func TestOnlyNamesAndAliasesMeanAConfiguredRegistry(t *testing.T) {
	r := configured(t, "")
	r.Hosts["myacr"] = "localhost:6002"
	for name, want := range map[string]string{
		"myacr": "localhost:6002", "myacr.azurecr.io": "myacr.azurecr.io", "MyAcr.azurecr.io": "myacr.azurecr.io",
		idOf("myacr"): "myacr.azurecr.io", idOf("MyAcr"): "myacr.azurecr.io", idOf("prod2"): "prod2.azurecr.io",
	} {
		if got, err := r.RegistryHost(name, ""); err != nil || got != want {
			t.Errorf("without an alias, %s: %s, %v, want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"edge": "localhost:6002", "rand": "localhost:6002", "myacr": "localhost:6002", "myacr.azurecr.io": "localhost:6002", "MyAcr.azurecr.io": "localhost:6002",
		idOf("myacr"): "localhost:6002", idOf("MyAcr"): "localhost:6002",
	} {
		if got, err := aliased(t).RegistryHost(name, ""); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"rand/app:v1": "localhost:6002/app:v1", "myacr.azurecr.io/app:v1": "localhost:6002/app:v1", "MyAcr.azurecr.io/app": "localhost:6002/app",
	} {
		if n, err := aliased(t).Parse(name, fault.Target); err != nil || n.String() != want {
			t.Errorf("%s: %s, %v, want %s", name, n, err, want)
		}
	}
	if e, err := aliased(t).End("myacr.azurecr.io/team/", fault.Target); err != nil || e != (End{Host: "localhost:6002", Prefix: "team/"}) {
		t.Errorf("%+v, %v", e, err)
	}
	reader, notes := noted(aliased(t))
	n, err := reader.Import(Request{Source: "nginx", Target: "edge", Images: []string{"myacr.azurecr.io/web"}}, AsAz)
	if err != nil || n.Targets[0].String() != "localhost:6002/web:latest" || !strings.Contains(strings.Join(*notes, "|"), "--name names the registry already") {
		t.Errorf("%v, %v, notes %q", n.Targets, err, *notes)
	}
}

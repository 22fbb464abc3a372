//go:build unix

package credential

// These tests write az and a credential_process as shell scripts.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// az puts a shell script with the name az on PATH, together with the programs that the script needs.
func (s *sky) az(body string) {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("PATH", dir+string(os.PathListSeparator)+"/usr/bin"+string(os.PathListSeparator)+"/bin")
}

func TestAzIsAskedForATokenOfTheRegistrysAudience(t *testing.T) {
	s := newSky(t)
	token := jwt(`{"iss": "https://sts.windows.net/t/", "exp": ` + "4102444800" + `}`)
	s.az(`[ "$*" = "account get-access-token --resource https://containerregistry.azure.net --output json" ] || { echo "unexpected: $*" >&2; exit 2; }
echo '{"accessToken": "` + token + `", "expiresOn": "2026-01-01 00:00:00.000000", "tokenType": "Bearer"}'`)
	l := s.finds(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io")
	if l.second = nil; l != (Login{Scheme: Exchange, Password: New(token), From: "az login"}) {
		t.Error(l, l.From)
	}
}

func TestAzWithoutALoginIsNoSourceAndOtherTroubleIsSaid(t *testing.T) {
	s := newSky(t)
	s.az(`echo "ERROR: Please run 'az login' to setup account." >&2; exit 1`)
	if _, ok, err := (Azure{Cloud: s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: "r.azurecr.io"}); ok || err != nil {
		t.Error(ok, err)
	}
	for want, script := range map[string]string{
		"denied: ERROR: AADSTS70043: The refresh token has expired. To re-authenticate, please run: az login": `echo "ERROR: AADSTS70043: The refresh token has expired." >&2; echo "To re-authenticate, please run: az login" >&2; exit 1`,
		"denied: exit status 3":                         `echo ` + canary + `; exit 3`,
		"denied: its answer is not the documented JSON": `echo ` + canary,
		"denied: its answer contains no token":          `echo '{"accessToken": ""}'`,
		"unavailable: no answer in time":                `sleep 30`,
	} {
		s.az(script)
		c := s.cloud()
		if strings.HasPrefix(want, "unavailable") {
			c.ProgramTimeout = 50 * time.Millisecond
		}
		kind := fault.Kind(strings.Split(want, ":")[0])
		if text := s.refuses(Azure{Cloud: c}.Lookup(), "r.azurecr.io", kind); text != "ask az account get-access-token: "+want {
			t.Error(text)
		}
	}
}

func TestACredentialProcessGivesTheKeys(t *testing.T) {
	s := newSky(t).up()
	bin := filepath.Join(s.home, "my tools", "keys")
	s.write("my tools/keys", `#!/bin/sh
[ "$#" = 2 ] && [ "$2" = "a b" ] || exit 4
echo '{"Version": 1, "AccessKeyId": "AKIDPROC", "SecretAccessKey": "`+canary+`", "SessionToken": "session", "Expiration": "2030-01-01T00:00:00Z"}'`)
	if err := os.Chmod(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	s.az("")
	s.write(".aws/config", "[profile dev]\ncredential_process = \""+bin+"\" --for \"a b\"\n[profile bad]\ncredential_process = \""+bin+"\"\n")
	s.vars["AWS_PROFILE"] = "dev"
	s.at["https://api.ecr.eu-west-1.amazonaws.com"] = s.ecr(awsKeys{id: "AKIDPROC", secret: New(canary), session: New("session")}, time.Hour)
	if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws profile dev" {
		t.Error(l, l.From)
	}
	s.vars["AWS_PROFILE"] = "bad"
	if text := s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied); text != "ask aws profile bad: credential_process: denied: exit status 4" {
		t.Error(text)
	}
}

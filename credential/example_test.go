package credential_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/ref"
)

// Look up logins in two places: one that the program knows, then the files of docker and podman. For a
// registry that neither knows, the login is anonymous.
func ExampleChain() {
	home, err := os.MkdirTemp("", "dray-example-") // os.UserHomeDir in a real program
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	config := filepath.Join(home, ".docker", "config.json")
	if err := os.Mkdir(filepath.Dir(config), 0o700); err != nil {
		fmt.Println(err)
		return
	}
	if err := os.WriteFile(config, []byte(`{"auths": {"dev.example": {"auth": "YWxpY2U6c2VjcmV0"}}}`), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	robot := credential.Login{User: "robot", Password: credential.New("token"), From: "this program"}
	logins := slices.Concat(
		credential.Chain{credential.Fixed("prod.example/team", robot)},
		credential.Files{Home: home}.Lookups(),
	)
	for _, s := range []string{"prod.example/team/app", "dev.example/app", "other.example/app"} {
		name, err := ref.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		login, err := logins.For(context.Background(), name.Repo)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: user %q, anonymous %v\n", name.Host, login.User, login.IsAnonymous())
	}
	// Output:
	// prod.example: user "robot", anonymous false
	// dev.example: user "alice", anonymous false
	// other.example: user "", anonymous true
}

// Store a login where docker, podman, skopeo and crane find it, and remove it again.
func ExampleFiles_Save() {
	home, err := os.MkdirTemp("", "dray-example-") // os.UserHomeDir in a real program
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	files := credential.Files{Home: home}
	ctx := context.Background()

	login, err := credential.FromPassword("alice", "secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	place, err := files.Save(ctx, "dev.example", login)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(filepath.ToSlash(place.Name), "plain:", place.Plain)

	_, removed, err := files.Erase(ctx, "dev.example")
	fmt.Println(removed, err)
	// Output:
	// docker config ~/.docker/config.json plain: true
	// true <nil>
}

// A Secret never shows its text, unless the program asks for it.
func ExampleSecret() {
	password := credential.New("secret")
	fmt.Printf("%v %q %d\n", password, password, password)
	fmt.Println(len(password.Reveal()))
	// Output:
	// [redacted] [redacted] [redacted]
	// 6
}

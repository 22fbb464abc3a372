package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// AzLogin returns the login of az's -u and -p, else the first login that one of ways finds.
func (a *App) AzLogin(cmd *cobra.Command, f *flag.Az, ways ...func(context.Context) (*credential.Login, error)) (*credential.Login, error) {
	typed := cmd.Flags().Changed("password")
	switch {
	case f.PasswordStdin && typed:
		return nil, flag.UsageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
	case f.Username == "" && !typed && !f.PasswordStdin:
		return a.OneLogin(cmd.Context(), ways...)
	case f.PasswordStdin:
		var err error
		if f.Password, err = a.ReadPassword(); err != nil {
			return nil, err
		}
	}
	l, err := credential.FromPassword(f.Username, f.Password)
	if err != nil {
		return nil, err
	}
	l.From = "flag --password"
	return &l, nil
}

// OneLogin is the login of a command that has one side only: the first that was given.
func (a *App) OneLogin(ctx context.Context, ways ...func(context.Context) (*credential.Login, error)) (*credential.Login, error) {
	for _, way := range ways {
		if l, err := way(ctx); l != nil || err != nil {
			return l, err
		}
	}
	return nil, nil
}

// SourceLogin is the login that the command line or the environment names for the source; nil leaves
// the search to the configuration and the files of docker and podman.
func (a *App) SourceLogin(ctx context.Context) (*credential.Login, error) {
	return a.loginFrom(ctx, "--src-creds", a.Common.SrcCreds, "DRAY_SRC")
}

// TargetLogin is the same for the target.
func (a *App) TargetLogin(ctx context.Context) (*credential.Login, error) {
	return a.loginFrom(ctx, "--dst-creds", a.Common.DstCreds, "DRAY_DST")
}

func (a *App) loginFrom(ctx context.Context, flag, value, prefix string) (*credential.Login, error) {
	if value == "" {
		l, ok, err := credential.FromEnv(a.IO.Env, prefix)
		if !ok || err != nil {
			return nil, err
		}
		return &l, nil
	}
	l, err := credential.ParseCreds(value)
	if errors.Is(err, credential.ErrNoPassword) && a.IO.Terminal.Password != nil {
		l, err = a.askPassword(ctx, strings.TrimSuffix(value, ":"))
	}
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: flag, Err: err}
	}
	l.From = "flag " + flag
	return &l, nil
}

// askPassword prompts on stderr, so that stdout stays the answer.
func (a *App) askPassword(ctx context.Context, user string) (credential.Login, error) {
	if _, err := io.WriteString(a.Err, "Password for "+user+": "); err != nil {
		return credential.Login{}, err
	}
	password, err := a.IO.Terminal.Password(ctx)
	io.WriteString(a.Err, "\n")
	if err != nil {
		return credential.Login{}, &fault.Fault{Kind: fault.Canceled, Op: "read password", Err: err}
	}
	return credential.FromPassword(user, string(password))
}

// maxStdinPassword bounds what --password-stdin reads, in bytes; Entra tokens with many groups have some 10 KiB.
const maxStdinPassword = 64 << 10

// ReadPassword reads what --password-stdin means.
func (a *App) ReadPassword() (string, error) {
	b, err := io.ReadAll(io.LimitReader(a.IO.In, maxStdinPassword+1))
	if err == nil && len(b) > maxStdinPassword {
		err = errors.New("longer than 64 KiB")
	}
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = errors.New("nothing came")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--password-stdin", Err: err}
	}
	return string(b), nil
}

// AskLogin asks a person for what is missing.
func (a *App) AskLogin(cmd *cobra.Command, user string) (credential.Login, error) {
	if a.IO.Terminal.Password == nil {
		return credential.Login{}, flag.UsageError(cmd, errors.New("no password"), "-p PASSWORD or --password-stdin")
	}
	if user == "" {
		fmt.Fprint(a.Err, "User: ")
		line, err := Patiently(cmd.Context(), 0, func() (string, error) {
			return bufio.NewReader(io.LimitReader(a.IO.In, 4096)).ReadString('\n')
		})
		if user = strings.TrimSpace(line); user == "" || err != nil {
			return credential.Login{}, flag.UsageError(cmd, errors.New("no user"), "-u USER")
		}
	}
	return a.askPassword(cmd.Context(), user)
}

// Files are the places of docker and podman as this command's world has them.
func (a *App) Files() credential.Files {
	return credential.Files{Env: a.IO.Env, Home: a.IO.Home, Run: a.IO.Run}
}

// Variable is the value of one that a setting names.
func (a *App) Variable(setting, name string) (string, error) {
	return config.Variable(a.IO.Env, setting, name)
}

package app

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// AzLogin returns the login of az's -u and -p, else the first login that one of ways finds.
func (a *App) AzLogin(
	cmd *cobra.Command, f *flag.Az, ways ...func(context.Context) (*credential.Login, error),
) (*credential.Login, error) {
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

// OneLogin returns the login of a command that knows only one registry: the first login that one of ways
// finds, or nil.
func (a *App) OneLogin(
	ctx context.Context, ways ...func(context.Context) (*credential.Login, error),
) (*credential.Login, error) {
	for _, way := range ways {
		if l, err := way(ctx); l != nil || err != nil {
			return l, err
		}
	}
	return nil, nil
}

// SourceLogin returns the login at the source that the command line or the environment gives. nil means that
// there is none, and that the configuration and the files of docker and podman are searched.
func (a *App) SourceLogin(ctx context.Context) (*credential.Login, error) {
	return a.loginFrom(ctx, "--src-creds", a.Common.SrcCreds, "DRAY_SRC")
}

// TargetLogin is SourceLogin for the target.
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
	if errors.Is(err, credential.ErrNoPassword) && a.IO.Terminal.Hide != nil {
		l, err = a.askPassword(ctx, strings.TrimSuffix(value, ":"), "give "+flag+" USER:PASSWORD, or set "+prefix+"_CREDS")
		if fault.Is(err, fault.Canceled) {
			return nil, err
		}
	}
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: flag, Err: err}
	}
	l.From = "flag " + flag
	return &l, nil
}

// askPassword asks a person for the password of user.
func (a *App) askPassword(ctx context.Context, user, hint string) (credential.Login, error) {
	password, err := a.AskHidden(ctx, Question{Text: "Password for " + user + ": ", Op: "read password", Hint: hint})
	if err != nil {
		return credential.Login{}, err
	}
	return credential.FromPassword(user, password)
}

// maxStdinPassword limits what --password-stdin reads, in bytes. Entra tokens with many groups have about
// 10 KiB.
const maxStdinPassword = 64 << 10

// ReadPassword reads the password of --password-stdin.
func (a *App) ReadPassword() (string, error) {
	b, err := io.ReadAll(io.LimitReader(a.IO.In, maxStdinPassword+1))
	if err == nil && len(b) > maxStdinPassword {
		err = errors.New("the password is longer than 64 KiB")
	}
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = errors.New("stdin has no password")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--password-stdin", Err: err,
			Hint: "write the password to stdin, and nothing else"}
	}
	return string(b), nil
}

// AskLogin asks a person for the password, and for the user if it is empty.
func (a *App) AskLogin(cmd *cobra.Command, user string) (credential.Login, error) {
	const without = "give --password-stdin or -p PASSWORD"
	if a.IO.Terminal.Hide == nil {
		return credential.Login{}, flag.UsageError(cmd, errors.New("no password given"), without)
	}
	if user == "" {
		line, err := a.Ask(cmd.Context(), Question{Text: "User: ", Op: "read user", Hint: "give -u USER"})
		if err != nil {
			return credential.Login{}, err
		}
		if user = strings.TrimSpace(line); user == "" {
			return credential.Login{}, flag.UsageError(cmd, errors.New("no user given"), "give -u USER")
		}
	}
	return a.askPassword(cmd.Context(), user, without)
}

// Files returns the places where docker and podman store logins.
func (a *App) Files() credential.Files {
	return credential.Files{Env: a.IO.Env, Home: a.IO.Home, Run: a.IO.Run}
}

// Variable returns the value of the environment variable that a setting names.
func (a *App) Variable(setting, name string) (string, error) {
	return textfile.Variable(a.IO.Env, setting, name)
}

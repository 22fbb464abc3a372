package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/credential"
)

// azLogin is az's -u and -p, else dray's own ways.
func (a *app) azLogin(cmd *cobra.Command, f *azFlags) (*credential.Login, error) {
	typed := cmd.Flags().Changed("password")
	switch {
	case f.passwordStdin && typed:
		return nil, usageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
	case f.username == "" && !typed && !f.passwordStdin:
		return a.oneLogin(cmd.Context(), a.sourceLogin, a.targetLogin)
	case f.passwordStdin:
		var err error
		if f.password, err = a.readPassword(); err != nil {
			return nil, err
		}
	}
	l, err := credential.FromPassword(f.username, f.password)
	if err != nil {
		return nil, err
	}
	l.From = "flag --password"
	return &l, nil
}

//go:build !unix

package apply_test

import "errors"

func (e errand) limit() error {
	if e.FileLimit > 0 {
		return errors.New("no limits of files on this system")
	}
	return nil
}

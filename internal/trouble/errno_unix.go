//go:build !windows

package trouble

import (
	"errors"
	"syscall"
)

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG)
}

func isOverQuota(err error) bool { return errors.Is(err, syscall.EDQUOT) }

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isBroken(err error) bool { return errors.Is(err, syscall.EIO) }

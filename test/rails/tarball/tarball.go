// Package tarball makes archives that depend on nothing but what is in them.
package tarball

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Write packs a tree as the directory prefix. Only names, modes and contents
// are taken from it, in the order of names.
func Write(path, tree, prefix string, moment time.Time) error {
	out, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer os.Remove(path + ".new")
	zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	pack := tar.NewWriter(zip)
	err = filepath.WalkDir(tree, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tree, file)
		if err != nil {
			return err
		}
		return add(pack, file, filepath.Join(prefix, name), d, moment)
	})
	if err := errors.Join(err, pack.Close(), zip.Close(), out.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func add(pack *tar.Writer, file, name string, d fs.DirEntry, moment time.Time) error {
	header := &tar.Header{Name: name, Mode: 0o755, ModTime: moment, Format: tar.FormatUSTAR}
	switch {
	case d.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return pack.WriteHeader(header)
	case d.Type() == fs.ModeSymlink:
		to, err := os.Readlink(file)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, to
		return pack.WriteHeader(header)
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size, header.Mode = tar.TypeReg, info.Size(), int64(info.Mode().Perm())
	if err := pack.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(pack, in)
	return err
}

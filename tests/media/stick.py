"""A stick that fails: a FUSE file system over a folder, and what goes wrong with it.

Usage: stick.py FOLDER MOUNT FAULT AMOUNT

FAULT is what happens once AMOUNT bytes were moved:
  write-error   writing and syncing fails with EIO, and goes on failing
  read-error    reading fails with EIO, and goes on failing
  read-flip     one bit of the byte that is read at AMOUNT is another
  read-short    files end there
  pulled        everything fails with ENODEV from then on, as if the stick had been pulled out
  dead          the driver dies, and the kernel answers ENOTCONN
  largest       no file can be longer (EFBIG), as with FAT32 and 4 GiB
  none          nothing
"""

import errno
import os
import sys

import fusepy as fuse


class Stick(fuse.Operations):
    def __init__(self, folder, fault, amount):
        self.folder, self.fault, self.left = folder, fault, amount
        self.most = amount
        self.gone = False

    def path(self, path):
        if self.gone:
            raise OSError(errno.ENODEV, "")
        return os.path.join(self.folder, path.lstrip("/"))

    def moved(self, count):
        """Counts what moves; true once it was too much."""
        self.left -= count
        if self.left >= 0:
            return False
        if self.fault == "pulled":
            self.gone = True
            raise OSError(errno.ENODEV, "")
        if self.fault == "dead":
            os._exit(1)
        return True

    def fail(self, number):
        raise OSError(number, "")

    def getattr(self, path, handle=None):
        info = os.lstat(self.path(path))
        names = ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size",
                 "st_uid", "st_blocks")
        found = {name: getattr(info, name) for name in names}
        if self.fault == "read-short" and info.st_size > self.most:
            found["st_size"] = self.most
        return found

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(self.path(path))]

    def statfs(self, path):
        info = os.statvfs(self.path(path))
        return {name: getattr(info, name) for name in
                ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_files", "f_ffree", "f_frsize", "f_namemax")}

    def mkdir(self, path, mode):
        os.mkdir(self.path(path), mode)

    def rmdir(self, path):
        os.rmdir(self.path(path))

    def unlink(self, path):
        os.unlink(self.path(path))

    def rename(self, old, new):
        os.rename(self.path(old), self.path(new))

    def truncate(self, path, length, handle=None):
        os.truncate(self.path(path), length)

    def open(self, path, flags):
        return os.open(self.path(path), flags)

    def create(self, path, mode, info=None):
        return os.open(self.path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def release(self, path, handle):
        os.close(handle)

    def read(self, path, size, offset, handle):
        self.path(path)
        data = os.pread(handle, size, offset)
        if self.fault == "read-short":
            return data[:max(0, self.most - offset)]
        if self.fault == "read-flip":
            at = self.most - offset
            if 0 <= at < len(data):
                data = data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]
        elif self.fault in ("read-error", "pulled", "dead") and self.moved(len(data)):
            self.fail(errno.EIO)
        return data

    def write(self, path, data, offset, handle):
        self.path(path)
        if self.fault == "largest" and offset + len(data) > self.most:
            self.fail(errno.EFBIG)
        if self.fault in ("write-error", "pulled", "dead") and self.moved(len(data)):
            self.fail(errno.EIO)
        return os.pwrite(handle, data, offset)

    def fsync(self, path, datasync, handle):
        self.path(path)
        if self.fault == "write-error" and self.left < 0:
            self.fail(errno.EIO)
        os.fsync(handle)

    def fsyncdir(self, path, datasync, handle):
        self.path(path)


folder, mount, fault, amount = sys.argv[1:]
fuse.FUSE(Stick(folder, fault, int(amount)), mount, foreground=True, nothreads=True, direct_io=True)

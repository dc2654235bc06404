// SPDX-License-Identifier: MIT

// Package fmp4 joins MP4 files into one fragmented MP4 film, as they come and
// without encoding anything again, so that the film can be watched before its
// end is there.
//
// A file is what a renderer makes of a cell: one track of H.264 pictures, all
// files with the same headers. It may come from another computer, so it is read
// strictly: what a muxer of cells does not write is refused, and no count or
// size in it takes memory before it has been compared with what was asked for.
package fmp4

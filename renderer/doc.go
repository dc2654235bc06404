// SPDX-License-Identifier: MIT

// Package renderer defines what turns the cells of a job into files.
package renderer

// Package atonce makes requests side by side, for the programs that figures run in qubes.
package atonce

import (
	"fmt"
	"sync"
	"time"
)

// Run calls request with each number below n, parallel of them at a time, and prints
// the time of all if there is more than one at a time ("wall: NANOSECONDS").
func Run(n, parallel int, request func(i int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	began := time.Now()
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				request(i)
			}
		})
	}
	workers.Wait()
	if parallel > 1 {
		fmt.Println("wall:", time.Since(began).Nanoseconds())
	}
}

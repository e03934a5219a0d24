package consentd

import "slices"

// queue holds the questions that are not shown. Each qube has its turn, whatever
// another one piles up. The zero queue is empty.
type queue struct {
	turns [][]*item // per qube, in the order of their turns; never an empty one
}

func (q *queue) push(i *item) {
	for n, items := range q.turns {
		if items[0].request.Qube == i.request.Qube {
			q.turns[n] = append(items, i)
			return
		}
	}
	q.turns = append(q.turns, []*item{i})
}

// pop returns the oldest question of the qube whose turn it is, nil if there is none.
func (q *queue) pop() *item {
	if len(q.turns) == 0 {
		return nil
	}
	items := q.turns[0]
	q.turns = q.turns[1:]
	if len(items) > 1 {
		q.turns = append(q.turns, items[1:])
	}
	return items[0]
}

func (q *queue) count(qube string) int {
	for _, items := range q.turns {
		if items[0].request.Qube == qube {
			return len(items)
		}
	}
	return 0
}

func (q *queue) find(matches func(*item) bool) *item {
	for _, items := range q.turns {
		if n := slices.IndexFunc(items, matches); n >= 0 {
			return items[n]
		}
	}
	return nil
}

func (q *queue) remove(i *item) { q.take(func(other *item) bool { return other == i }) }

// take removes and returns all that match.
func (q *queue) take(matches func(*item) bool) []*item {
	var taken []*item
	var turns [][]*item
	for _, items := range q.turns {
		var rest []*item
		for _, i := range items {
			if matches(i) {
				taken = append(taken, i)
			} else {
				rest = append(rest, i)
			}
		}
		if len(rest) > 0 {
			turns = append(turns, rest)
		}
	}
	q.turns = turns
	return taken
}

package consent

import (
	"context"
	"errors"
	"fmt"
)

// Show returns the grants and holds of the moment.
func (c *Client) Show(ctx context.Context) (State, error) {
	r, err := c.command(ctx, Message{Show: &struct{}{}})
	if err != nil {
		return State{}, fmt.Errorf("asking for the grants: %w", err)
	}
	if r.State == nil {
		return State{}, fmt.Errorf("asking for the grants: %w: no state", ErrProtocol)
	}
	return *r.State, nil
}

// Revoke ends grants and returns how many there were.
func (c *Client) Revoke(ctx context.Context, which Which) (int, error) {
	r, err := c.command(ctx, Message{Revoke: &which})
	if err != nil {
		return 0, fmt.Errorf("revoking: %w", err)
	}
	return r.Count, nil
}

// Pause pauses prompts, or lifts pauses and silences and returns how many.
func (c *Client) Pause(ctx context.Context, p Pause) (int, error) {
	r, err := c.command(ctx, Message{Pause: &p})
	if err != nil {
		return 0, fmt.Errorf("pausing: %w", err)
	}
	return r.Count, nil
}

func (c *Client) command(ctx context.Context, m Message) (Reply, error) {
	r, err := c.exchange(ctx, m, MaxState)
	if err != nil {
		return Reply{}, err
	}
	if r.Err != "" {
		return Reply{}, errors.New(r.Err)
	}
	return r, nil
}

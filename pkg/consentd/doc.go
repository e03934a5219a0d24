// Package consentd decides what becomes of the guards' questions: it queues
// them, joins equal ones, has them asked one at a time, and owns grants,
// silences and pauses.
package consentd

package main

import (
	"time"

	"github.com/formidling/formidling/models"
)

// questions are all kinds of search that the API lets a client ask, and the combinations that clients use.
var questions = []question{
	{"everything", func(models.Party, landmarks) models.Search { return models.Search{} }},
	{"role=Sender", func(models.Party, landmarks) models.Search { return models.Search{Role: models.RoleSender} }},
	{"role=Recipient", func(models.Party, landmarks) models.Search { return models.Search{Role: models.RoleRecipient} }},
	{"status=Initialized", withStatus(models.TransferInitialized)},
	{"status=UploadStarted", withStatus(models.TransferUploadStarted)},
	{"status=UploadProcessing", withStatus(models.TransferUploadProcessing)},
	{"status=Published", withStatus(models.TransferPublished)},
	{"status=AllConfirmedDownloaded", withStatus(models.TransferAllConfirmedDownloaded)},
	{"status=Purged", withStatus(models.TransferPurged)},
	{"status=Failed", withStatus(models.TransferFailed)},
	{"recipientStatus=Initialized", withRecipientStatus(models.RecipientInitialized)},
	{"recipientStatus=DownloadStarted", withRecipientStatus(models.RecipientDownloadStarted)},
	{"recipientStatus=DownloadConfirmed", withRecipientStatus(models.RecipientDownloadConfirmed)},
	{"inbox: Published, Initialized", inbox(models.RecipientInitialized)},
	{"inbox: Published, DownloadStarted", inbox(models.RecipientDownloadStarted)},
	{"inbox: Published, DownloadConfirmed", inbox(models.RecipientDownloadConfirmed)},
	{"Purged, DownloadStarted", func(models.Party, landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), RecipientStatus: of(models.RecipientDownloadStarted)}
	}},
	{"from and to, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"from, half a year", func(_ models.Party, m landmarks) models.Search { return models.Search{From: of(m.middleDay())} }},
	{"to, half a year", func(_ models.Party, m landmarks) models.Search { return models.Search{To: of(m.middleDay())} }},
	{"status=Purged, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"DownloadStarted, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{RecipientStatus: of(models.RecipientDownloadStarted), From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"reference of one sent", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.sentReference[by]}
	}},
	{"reference of one received", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.reference[by]}
	}},
	{"reference of many", func(models.Party, landmarks) models.Search { return models.Search{SendersReference: "batch-1"} }},
	{"reference of none", func(models.Party, landmarks) models.Search { return models.Search{SendersReference: "no such one"} }},
	{"reference of one received, Purged", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.reference[by], Status: of(models.TransferPurged)}
	}},
	{"reference of none, Purged", func(models.Party, landmarks) models.Search {
		return models.Search{SendersReference: "no such one", Status: of(models.TransferPurged)}
	}},
	{"reference of none, Confirmed", func(models.Party, landmarks) models.Search {
		return models.Search{SendersReference: "no such one", RecipientStatus: of(models.RecipientDownloadConfirmed)}
	}},
	{"page in the middle of all sent", func(by models.Party, m landmarks) models.Search {
		return models.Search{Role: models.RoleSender, After: of(m.middle[by])}
	}},
	{"page in the middle of all received", func(by models.Party, m landmarks) models.Search {
		return models.Search{Role: models.RoleRecipient, After: of(m.middleReceived[by])}
	}},
	{"page in the middle, Purged", func(by models.Party, m landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), After: of(m.middle[by])}
	}},
	{"page in the middle, unconfirmed", func(by models.Party, m landmarks) models.Search {
		return models.Search{RecipientStatus: of(models.RecipientInitialized), After: of(m.middleReceived[by])}
	}},
}

// middleDay begins in the middle of the year.
func (m landmarks) middleDay() time.Time { return m.first.Add(m.last.Sub(m.first) / 2) }

func of[T any](v T) *T { return &v }

func withStatus(s models.TransferStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search { return models.Search{Status: &s} }
}

func withRecipientStatus(s models.RecipientStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search { return models.Search{RecipientStatus: &s} }
}

func inbox(s models.RecipientStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search {
		return models.Search{Status: of(models.TransferPublished), RecipientStatus: &s}
	}
}

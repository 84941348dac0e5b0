//! The header of each service as it exports it, with readers who get the newsletter there and with some who do not: it goes
//! in without a question.

use pressrun::import;
use pressrun::subscriber::Status;

use super::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

/// An export: whose it is, what it holds, and how many of its readers joined, wait, and left or are barred.
struct Export {
    service: &'static str,
    text: &'static str,
    joined: u64,
    waits: u64,
    gone: u64,
}

const EXPORTS: [Export; 13] = [
    // `active_subscription` is false for whoever reads for nothing.
    Export {
        service: "Substack",
        text: "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at\n\
               s1@x.example,false,,other,false,2024-01-01T00:00:00.000Z,\n\
               s2@x.example,true,2027-07-01T00:00:00.000Z,yearly,false,2024-01-01T00:00:00.000Z,2026-07-15T00:00:00.000Z\n\
               s3@x.example,false,,other,true,2024-01-01T00:00:00.000Z,\n",
        joined: 2,
        waits: 0,
        gone: 1,
    },
    Export {
        service: "Substack",
        text: "email,active_subscription,expiry,email_disabled,prefer_digests,created_at\n\
               s4@x.example,false,,false,false,2024-01-01T00:00:00.000Z\n",
        joined: 1,
        waits: 0,
        gone: 0,
    },
    Export {
        service: "Substack",
        text: "Email,Name,Stripe plan,Cancel date,Start date,Paid upgrade date,Bestseller,Emails received (6mo),\
               Emails dropped (6mo),Emails opened (6mo),Last email open,Links clicked,Comments,Shares,\
               Subscriptions gifted,Can see paid content,Revenue,Subscription source (free),\
               Subscription source (paid),Days active (30d),Activity,Type,Group membership,Sections\n\
               s5@x.example,Ana,,,2025-01-01T00:00:00.000Z,,0,12,0,9,,0,0,0,0,0,0,direct,,3,5,Free,None,\n\
               s6@x.example,Bo,Monthly,2026-02-01T00:00:00.000Z,2025-02-01T00:00:00.000Z,\
               2025-03-01T00:00:00.000Z,0,12,0,0,,0,0,0,0,1,50,,direct,0,0,Paid,None,\n",
        joined: 2,
        waits: 0,
        gone: 0,
    },
    // The names of its API: `is_subscribed` says who sees what is paid for.
    Export {
        service: "Substack",
        text: "user_name,user_email_address,is_subscribed,subscription_type,subscription_created_at,unsubscribed_at,\
               num_subs_gifted,num_emails_dropped\n\
               Ana,s7@x.example,0,free,2025-01-01T00:00:00.000Z,,0,0\n\
               Bo,s8@x.example,false,free,2025-01-01T00:00:00.000Z,2025-05-01T00:00:00.000Z,0,0\n",
        joined: 1,
        waits: 0,
        gone: 1,
    },
    Export {
        service: "Mailchimp",
        text: "Email Address,First Name,Last Name,Address,Phone Number,Birthday,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,\
               CONFIRM_TIME,CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS\n\
               m1@x.example,Ada,L,,,,2,2020-02-03 04:05:06,192.0.2.1,2020-02-03 04:06:00,192.0.2.1,,,,,,de,be,\
               2020-02-03 04:06:00,1,a,,\n",
        joined: 1,
        waits: 0,
        gone: 0,
    },
    // Hardly anybody gets its short messages.
    Export {
        service: "Mailchimp",
        text: "Email Address,First Name,Last Name,Email Marketing,SMS Marketing,Source,Contact Rating,Date Added,Tags\n\
               n1@x.example,A,B,Subscribed,Never subscribed,Import,2,2024-01-01,\n\
               n2@x.example,A,B,Subscribed,Unsubscribed,Signup form,2,2024-01-01,\n\
               n3@x.example,A,B,Subscribed,Not subscribed,Import,0,2024-01-01,\n\
               n4@x.example,A,B,Non-subscribed,Never subscribed,Import,2,2024-01-01,\n\
               n5@x.example,A,B,Unsubscribed,Subscribed,Import,2,2024-01-01,\n\
               n6@x.example,A,B,Cleaned,Never subscribed,Import,1,2024-01-01,\n",
        joined: 3,
        waits: 1,
        gone: 2,
    },
    Export {
        service: "Kit",
        text: "first_name,email_address,state,created_at,tags\n\
               Maja,k1@x.example,active,2025-03-03,creators\nNils,k2@x.example,inactive,2025-04-04,\n\
               Olle,k3@x.example,cancelled,2025-04-04,\n",
        joined: 1,
        waits: 1,
        gone: 1,
    },
    Export {
        service: "Ghost",
        text: "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,\
               tiers\n\
               1,g1@x.example,A,,true,false,,2024-05-01T00:00:00.000Z,,,\n\
               2,g2@x.example,B,,false,true,cus_1,2024-05-01T00:00:00.000Z,,,Gold\n",
        joined: 1,
        waits: 0,
        gone: 1,
    },
    Export {
        service: "Buttondown",
        text: "id,email_address,notes,metadata,tags,referrer_url,secondary_id,type,source,creation_date,last_click_date,\
               last_open_date,churn_date,unsubscription_date,unsubscription_reason,undeliverability_date,\
               undeliverability_reason,upgrade_date,subscriber_import_id,gift_subscription_message,\
               commenting_disabled,firewall_reasons,risk_score\n\
               1,b1@x.example,,{},,,1,regular,organic,2024-01-05T00:00:00Z,,,None,None,,None,,,,,False,[],0\n\
               2,b2@x.example,,{},,,2,unactivated,organic,2024-01-05T00:00:00Z,,,,,,,,,,,False,[],0\n\
               3,b3@x.example,,{},,,3,unsubscribed,organic,2024-01-05T00:00:00Z,,,,2025-01-05T00:00:00Z,too many,,,,,,\
               False,[],0\n\
               4,b4@x.example,,{},,,4,undeliverable,organic,2024-01-05T00:00:00Z,,,,,,2025-01-05T00:00:00Z,550,,,,\
               False,[],0\n",
        joined: 1,
        waits: 1,
        gone: 2,
    },
    Export {
        service: "beehiiv",
        text: "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,Free Tier,Premium Tier,unsubscribed_at,\
               Subscription Date (Substack)\n\
               h1@x.example,A,B,active,free,2023-03-24,,true,false,,\n\
               h2@x.example,A,B,active,premium,2023-03-24,cus_1,false,true,,2022-01-01\n\
               h3@x.example,A,B,inactive,free,2023-03-24,,true,false,2024-01-01,\n",
        joined: 2,
        waits: 0,
        gone: 1,
    },
    Export {
        service: "listmonk",
        text: "uuid,email,name,attributes,status,created_at,updated_at\n\
               1,l1@x.example,A,{},enabled,2024-01-05 12:11:12 +0000 UTC,2024-01-05 12:11:12 +0000 UTC\n\
               2,l2@x.example,B,{},blocklisted,2024-01-05 12:11:12 +0000 UTC,\n",
        joined: 1,
        waits: 0,
        gone: 1,
    },
    // And of no service: a shop, and somebody's customers.
    Export {
        service: "",
        text: "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Phone,\
               Accepts SMS Marketing,Accepts WhatsApp Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags\n\
               1,A,B,c1@x.example,yes,,,no,no,0.00,0,,no,\n2,A,B,c2@x.example,no,,,no,no,12.00,1,,no,\n",
        joined: 1,
        waits: 0,
        gone: 1,
    },
    Export {
        service: "",
        text: "Record ID,Email,Marketing emails opened,Marketing emails clicked,subscription_count,subscribed to Premium,\
               push opt-in,contact status,Issues left\n\
               1,r1@x.example,0,0,0,false,no,Customer,0\n2,r2@x.example,4,0,2,true,no,Lead,12\n",
        joined: 2,
        waits: 0,
        gone: 0,
    },
];

on_both!(
    the_export_of_each_service_goes_in_as_it_comes_and_nothing_is_asked,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        for export in EXPORTS {
            let job = desk.job(export.text);
            let summary = import::run(&desk.app, &job, |_| {}).await;
            let summary = summary.unwrap_or_else(|why| panic!("{}: {why:#}", export.text));
            assert_eq!(summary.service, export.service, "{}", export.text);
            let tally = summary.tally;
            let came = (
                tally.added - tally.pending,
                tally.pending,
                tally.left + tally.barred,
                summary.rejected,
            );
            let expected = (export.joined, export.waits, export.gone, 0);
            assert_eq!(came, expected, "{}: {summary:?}", export.text);
        }
        for address in [
            "s1@x.example",
            "s5@x.example",
            "s7@x.example",
            "n1@x.example",
            "c1@x.example",
        ] {
            assert_eq!(
                desk.status(address).await,
                Some(Status::Confirmed),
                "{address}"
            );
        }
        desk.app.store.close().await;
    }
);
